"""A hub on loopback: repositories, commits with files in them or beside them (LFS), downloads, tokens."""

import base64
import hashlib
import http.server
import json
import re
import threading

TOKEN = "hf_good"


class Hub(http.server.ThreadingHTTPServer):
    """Answers as huggingface_hub expects; `repositories` maps "user/model" to {"private", "commits"}.

    Each commit is a dict of `sha`, `summary` and `files` (path -> bytes), the newest last; `seen` lists the requests.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories, self.stored, self.seen, self.failing = {}, {}, [], False
        self.endpoint = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *failure):
        self.shutdown()
        self.server_close()

    def commit(self, name, summary, files):
        """Add a commit to the repository, made if it is missing; return its hash."""
        commits = self.repositories.setdefault(name, {"private": False, "commits": []})["commits"]
        sha = hashlib.sha1(f"{name}{len(commits)}".encode()).hexdigest()
        before = commits[-1]["files"] if commits else {}
        commits.append({"sha": sha, "summary": summary, "files": {**before, **files}, "written": sorted(files)})
        return sha


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def handle_any(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        self.server.seen.append((self.command, path))
        if self.server.failing:
            return self.answer(503, {"error": "Down for maintenance"})
        for pattern, method in self.ROUTES.items():
            found = re.fullmatch(pattern, f"{self.command} {path}")
            if found:
                return method(self, *found.groups())
        return self.answer(404, {"error": "Not here"})

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def answer(self, status, content=b"", **headers):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def known(self):
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def refused(self, name, writing=False):
        """Answer and return True if the caller may not do that; as the hub, it does not tell missing from private."""
        repository = self.server.repositories.get(name)
        if not self.known() and (writing or repository is None or repository["private"]):
            self.answer(401, {"error": "Invalid username or password."}, X_Error_Code="RepoNotFound")
        elif repository is None:
            self.answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        else:
            return False
        return True

    def create(self):
        wanted = json.loads(self.body)
        if not self.known():
            return self.answer(401, {"error": "Invalid username or password."})
        name = f"{wanted['organization']}/{wanted['name']}"
        private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
        status = 409 if name in self.server.repositories else 200
        self.server.repositories.setdefault(name, {"private": private, "commits": []})
        return self.answer(status, {"url": f"{self.server.endpoint}/{name}"})

    def information(self, name):
        if not self.refused(name):
            self.answer(200, {"id": name, "private": self.server.repositories[name]["private"], "siblings": []})

    def validate(self):
        licence = re.search(r'^license: "(.*)"$', json.loads(self.body)["content"], re.MULTILINE)
        wrong = licence and licence.group(1) not in ("mit", "apache-2.0")
        message = {"message": '"license" must be one of [mit, apache-2.0]'}
        self.answer(400 if wrong else 200, {"errors": [message] if wrong else [], "warnings": []})

    def preupload(self, name):
        modes = [{"path": file["path"], "shouldIgnore": False,
                  "uploadMode": "lfs" if file["path"].endswith(".keras") else "regular"}
                 for file in json.loads(self.body)["files"]]
        if not self.refused(name, writing=True):
            self.answer(200, {"files": modes})

    def batch(self, name):
        objects = [{**one, "actions": {"upload": {"href": f"{self.server.endpoint}/lfs/{one['oid']}"}}}
                   for one in json.loads(self.body)["objects"]]
        if not self.refused(name, writing=True):
            self.answer(200, {"transfer": "basic", "objects": objects}, Content_Type="application/vnd.git-lfs+json")

    def store(self, oid):
        if hashlib.sha256(self.body).hexdigest() != oid:
            return self.answer(400, {"error": "Another hash"})
        self.server.stored[oid] = self.body
        return self.answer(200)

    def commit(self, name):
        if self.refused(name, writing=True):
            return
        lines = [json.loads(line) for line in self.body.splitlines()]
        files = {line["value"]["path"]: base64.b64decode(line["value"]["content"])
                 for line in lines if line["key"] == "file"}
        files |= {line["value"]["path"]: self.server.stored[line["value"]["oid"]]
                  for line in lines if line["key"] == "lfsFile"}
        sha = self.server.commit(name, lines[0]["value"]["summary"], files)
        self.answer(200, {"commitUrl": f"{self.server.endpoint}/{name}/commit/{sha}", "commitOid": sha,
                          "success": True})

    def download(self, name, revision, path):
        if self.refused(name):
            return
        commits = self.server.repositories[name]["commits"]
        chosen = commits[-1] if revision == "main" else next((one for one in commits if one["sha"] == revision), None)
        if chosen is None:
            self.answer(404, {"error": "Invalid rev"}, X_Error_Code="RevisionNotFound")
        elif path not in chosen["files"]:
            self.answer(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound", X_Repo_Commit=chosen["sha"])
        else:
            content = chosen["files"][path]
            self.answer(200, content, ETag=f'"{hashlib.sha256(content).hexdigest()}"', X_Repo_Commit=chosen["sha"])

    ROUTES = {
        "POST /api/repos/create": create,
        "GET /api/models/([^/]+/[^/]+)": information,
        "POST /api/validate-yaml": validate,
        "POST /api/models/([^/]+/[^/]+)/preupload/main": preupload,
        r"POST /([^/]+/[^/]+)\.git/info/lfs/objects/batch": batch,
        "PUT /lfs/(\\w+)": store,
        "POST /api/models/([^/]+/[^/]+)/commit/main": commit,
        "(?:GET|HEAD) /([^/]+/[^/]+)/resolve/([^/]+)/(.+)": download,
    }
