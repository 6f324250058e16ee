// Browsers load no modules from file:// addresses, so that this is said by a script that is no module. It stands in a
// file of its own because servers forbid scripts within pages (Content-Security-Policy).
if (location.protocol === "file:") {
  const problem = document.getElementById("problem");
  problem.textContent = "Browsers let no page opened as a file load a model. Serve this folder instead, for " +
    "example with `python -m http.server`, and open http://localhost:8000.";
  problem.hidden = false;
  document.getElementById("status").textContent = "";
}
