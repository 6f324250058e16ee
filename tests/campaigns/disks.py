"""Jobs on a disk that is full or cannot be written to: the sentence, what was there intact, and then the job goes on.

The jobs are those of `killing`. The disk is a file system in memory of a few kilobytes, for which one must be root.
"""

import collections
import json
import pathlib
import shutil
import subprocess

from tests.campaigns.contents import Half, contents, left_behind
from tests.campaigns.fuzzing import SENTENCE
from tests.campaigns.killing import LONGEST, Start, Undisturbed, job

SHARES = (0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97)  # of the room that the whole result takes
BLOCK = 4096  # bytes
# "refused": as it should be; "fits": the job ended well for all that; "silent": a failure without the sentence;
# "half"; "changed": what was there is another; "leftover": drafts take the little room; "stuck": with room the same
# command fails or gives another result; "hang"
OUTCOMES = ("refused", "fits", "silent", "half", "changed", "leftover", "stuck", "hang")


def run(name, output, report=None):
    """Run a job on a new disk with each share of the room, then on a full and a read-only one that hold its result."""
    folder = pathlib.Path(output) / name
    folder.mkdir(parents=True, exist_ok=True)
    undisturbed, counts, told = Undisturbed.of(name, folder), collections.Counter(), []
    for case in [*SHARES, "full", "read-only", "new read-only"]:
        disk = folder / "disk"
        disk.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={64 << 20}", "kseg", str(disk)], check=True)
        try:
            outcome = _one(name, undisturbed, disk, case, folder / "whole", told)
        finally:
            subprocess.run(["umount", "-l", str(disk)], check=True)
            shutil.rmtree(disk / "scratch", ignore_errors=True)
        told[-1] = f"{case}: {outcome}\n{told[-1]}"
        counts[outcome] += 1
        if report is not None:
            report(case, counts)
    (folder / "disks.txt").write_text("\n\n".join(told))
    (folder / "disks.json").write_text(json.dumps(counts))
    return counts


def _one(name, undisturbed, disk, case, whole, told):
    target, start = disk / "output", _Start(name, undisturbed, disk)
    before = {}
    if isinstance(case, float):
        target.mkdir()
        _remount(disk, f"size={max(int(case * _room(whole)), 1) // BLOCK * BLOCK + BLOCK}")
    else:
        target.mkdir()
        if case != "new read-only":
            start.whole()
            before = contents(target)
        _remount(disk, f"size={_room(target) + 2 * BLOCK}" if case == "full" else "ro")
    start.again()
    told.append(start.told)
    if start.status in (None, 0) or start.status < 0:
        return {0: "fits"}.get(start.status, "hang")
    if "Traceback" in start.told or not SENTENCE.search(start.told):
        return "silent"
    try:
        after = contents(target)
    except Half:
        return "half"
    if any(after.get(path) != value for path, value in before.items()):
        return "changed"
    if left_behind(target) and not name == "prediction":  # its mark, by which it goes on
        told[-1] += f"\nleft behind: {left_behind(target)}"
        return "leftover"
    _remount(disk, f"rw,size={64 << 20}")
    start.again()
    if start.status != 0 or undisturbed.differences(target):
        told[-1] += f"\nwith room: {start.told}\n{undisturbed.differences(target)}"
        return "stuck"
    return "refused"


class _Start:
    """The job, again and again, with its own log and temporary files outside of the small disk."""

    def __init__(self, name, undisturbed, disk):
        self.work = lambda: job(name).work(str(undisturbed.inputs), str(disk / "output"))
        self.folder, self.status, self.told = disk.parent, None, ""

    def again(self):
        start = Start(self.folder, self.work)
        start.wait(LONGEST)
        self.status, self.told = start.status, start.told()

    def whole(self):
        self.again()
        if self.status != 0:
            raise SystemExit(self.told)


def _room(folder):
    """Return the bytes that a folder takes, in blocks."""
    return sum(-(-path.lstat().st_size // BLOCK) * BLOCK for path in pathlib.Path(folder).rglob("*") if path.is_file())


def _remount(disk, options):
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)
