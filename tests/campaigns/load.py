"""Eight clients of one server at once, with faults between them: each image gets its own answer, or a sentence.

The server is that of `tests/serving`: TensorFlow Serving's protocols around the exported SavedModel. It and the faults
are a process of their own; the clients are threads that share one `kseg.serving.Client`, and processes.
"""

import json
import multiprocessing
import os
import pathlib
import queue
import re
import threading
import time
import traceback

import numpy as np
from rich.table import Table

from kseg.serving import Client, ServingError
from tests.campaigns.coded_images import coded

TIMEOUT, RETRIES, BACKOFF = 3.0, 3, 0.1  # of the clients
LONGEST = (RETRIES + 1) * TIMEOUT + BACKOFF * (2 ** RETRIES - 1) + 3.0  # seconds of a request; 3 for a busy machine
GROWTH = 64 * 2**20  # bytes a client may hold more at the end than after a tenth of the time
SHARE = 0.3  # of the requests meet a fault
FAULTS = ("wrong", "error", "late")


def run(protocol, minutes, clients, seed, output, report=None):
    """Return what came of it, a dict, which `results-<protocol>.json` in `output` holds too.

    `report(seconds, requests)` is called now and then. A half of the clients are threads of one process.
    """
    output = pathlib.Path(output)
    output.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    server, pipe = _started_server(context, protocol, seed, output)
    url, results, workers = pipe.recv(), context.Queue(), []
    threads = max(1, clients // 2)
    for names in [range(threads), *([name] for name in range(threads, clients))]:
        workers.append(context.Process(target=_work, args=(url, list(names), 60 * minutes, seed, results), daemon=True))
        workers[-1].start()
    try:
        found = _gathered(results, clients, 60 * minutes + LONGEST + 180, report)
    finally:
        for process in workers:
            process.join(5)
            process.kill()
    pipe.send("end")
    summary = _summary(found, clients, minutes, pipe.recv())
    server.join(10)
    server.kill()
    (output / f"results-{protocol}.json").write_text(json.dumps(summary, indent=2))
    return summary


def table(protocol, summary):
    """Return the figures of a run for the terminal."""
    made = Table(f"load over {protocol}", "", title_justify="left")
    for name in ("outcomes", "injected", "seconds of a request answered", "sentences", "megabytes held"):
        for key, value in summary[name].items():
            made.add_row(f"{name}: {key}", str(value))
    for name in ("requests", "images answered", "requests per second", "clients that did not end"):
        made.add_row(name, str(summary[name]))
    return made


def faults(summary):
    """Return how many faults were found."""
    grown = sum(after - before > GROWTH / 1e6 for before, after in summary["megabytes held"].values())
    return sum(summary["outcomes"].get(name, 0) for name in FAULTS) + summary["clients that did not end"] + grown


def _started_server(context, protocol, seed, output):
    from tests.campaigns import faulty_server

    pipe, theirs = context.Pipe()
    process = context.Process(target=faulty_server.serve, daemon=True,
                              args=(protocol, str(output / "coded" / "1"), SHARE, TIMEOUT, seed, theirs))
    process.start()
    return process, pipe


def _work(url, names, seconds, seed, results):
    """Run the clients `names` in threads of this process, with one `Client` among them."""
    client = Client(url, "coded", timeout=TIMEOUT, retries=RETRIES, backoff=BACKOFF)
    end = time.monotonic() + seconds  # gRPC's messages have loaded TensorFlow by now
    threads = [threading.Thread(target=_ask_until, args=(client, name, end, seed, results), daemon=True)
               for name in names]
    for thread in threads:
        thread.start()
    time.sleep(seconds / 10)
    before = _held()
    for thread in threads:
        thread.join(seconds + LONGEST + 30)
    results.put(("memory", f"clients {names[0]}-{names[-1]}", (round(before / 1e6), round(_held() / 1e6))))
    results.close()
    results.join_thread()


def _ask_until(client, name, end, seed, results):
    random, number = np.random.default_rng((seed, name)), name * 10_000_000
    while time.monotonic() < end:
        numbers = list(range(number, number + int(random.integers(1, 5))))
        number = numbers[-1] + int(random.integers(2))  # an image in two is sent twice
        start = time.monotonic()
        outcome, detail = _asked(client, numbers)
        taken = time.monotonic() - start
        if taken > LONGEST and outcome in ("answered", "failed"):
            outcome, detail = "late", f"{taken:.1f} s"
        results.put(("request", outcome, (taken, len(numbers), detail)))
    results.put(("end", name, None))


def _asked(client, numbers):
    images, wanted = zip(*map(coded, numbers))
    try:
        found = client.segment(list(images))
    except ServingError as failure:
        return ("failed" if re.match(r"[A-Z]\w+ .* .+", str(failure)) else "error"), str(failure)
    except Exception:
        return "error", traceback.format_exc()
    if len(found) != len(wanted):
        return "wrong", f"{len(found)} answers to {len(wanted)} images"
    same = [one.dtype == np.uint8 and np.array_equal(one, own) for one, own in zip(found, wanted)]
    return ("answered", "") if all(same) else ("wrong", f"images {numbers}: {same}")


def _gathered(results, clients, limit, report):
    """Return all that the clients tell, until each has ended or `limit` seconds are over."""
    found = {"request": [], "end": [], "memory": []}
    end, processes = time.monotonic() + limit, clients - max(1, clients // 2) + 1
    start = told = time.monotonic()
    while (len(found["end"]) < clients or len(found["memory"]) < processes) and time.monotonic() < end:
        try:
            kind, what, detail = results.get(timeout=1)
        except queue.Empty:
            continue
        found[kind].append((what, detail))
        if report is not None and time.monotonic() > told + 1:
            told = time.monotonic()
            report(told - start, len(found["request"]))
    return found


def _summary(found, clients, minutes, injected):
    outcomes, sentences, kept = {}, {}, []
    for outcome, (_, _, detail) in found["request"]:
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        if outcome == "failed":
            said = re.sub(r"http://\S+|grpc://\S+|\d+(\.\d+)?", "…", detail)[:110]
            sentences[said] = sentences.get(said, 0) + 1
        elif outcome != "answered":
            kept.append((outcome, detail))
    seconds = [taken for outcome, (taken, _, _) in found["request"] if outcome == "answered"] or [0.0]
    percentiles = {f"p{share}": round(float(np.percentile(seconds, share)), 4) for share in (50, 95, 99)}
    return {
        "outcomes": outcomes, "injected": injected, "requests": len(found["request"]),
        "images answered": sum(images for outcome, (_, images, _) in found["request"] if outcome == "answered"),
        "requests per second": round(len(found["request"]) / (60 * minutes), 1),
        "seconds of a request answered": {**percentiles, "maximum": round(max(seconds), 4)},
        "sentences": dict(sorted(sentences.items(), key=lambda item: -item[1])[:20]),
        "megabytes held": dict(found["memory"]), "clients that did not end": clients - len(found["end"]),
        "faults": kept[:50]}


def _held():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
