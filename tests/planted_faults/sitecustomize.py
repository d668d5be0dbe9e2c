"""Plants one fault in the job of one rule, once. Python loads this file by itself from PYTHONPATH.

PLANTED_FAULT is "rule:ending:folder". Endings: failed, out_of_memory, killed_before, killed_in_the_middle,
killed_between_files, killed_after, left_behind (waits for a file `go` in the folder, and sees no other run).
"""

import importlib.machinery
import os
import signal
import sys
import time
from pathlib import Path

MODULE = "repurpose.provenance.jobs"


class Finder:
    """Loads one module as always and then plants the fault in it."""

    def find_spec(self, name, path=None, target=None):
        if name != MODULE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        load = spec.loader.exec_module

        def load_and_plant(module):
            load(module)
            plant(module, *os.environ["PLANTED_FAULT"].split(":", 2))

        spec.loader.exec_module = load_and_plant
        return spec


def plant(making, rule, ending, folder):
    begin, commit, move = making.Job.__init__, making.Job._commit, making.shelf.move
    mark = Path(folder)

    def is_due(job):
        """Whether this is the job, for the first time."""
        if job.wanted.rule != rule:
            return False
        try:
            (mark / "fired").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def beginning(self, given):
        if ending == "left_behind":
            making.WATCH_SECONDS = 1e6
        begin(self, given)
        if ending == "killed_before" and is_due(self):
            die()

    def committing(self, staged):
        if ending in ("killed_between_files", "killed_after"):
            return ending_at_moves(self, staged)
        if ending not in ("killed_before",) and is_due(self):
            if ending == "failed":
                raise making.InputError("planted fault")
            if ending == "out_of_memory":
                raise MemoryError("planted: unable to allocate")
            if ending == "killed_in_the_middle":
                next(path for path in Path(staged).rglob("*") if path.is_file()).unlink()
                die()
            (mark / "waiting").write_text(str(os.getpid()))
            while not (mark / "go").exists():
                time.sleep(0.05)
        return commit(self, staged)

    def ending_at_moves(self, staged):
        if not is_due(self):
            return commit(self, staged)
        if ending == "killed_after":
            commit(self, staged)
            die()
        moved = []

        def moving(source, target):
            if moved:
                die()
            moved.append(target)
            move(source, target)

        making.shelf.move = moving
        return commit(self, staged)

    making.Job.__init__, making.Job._commit = beginning, committing


if os.environ.get("PLANTED_FAULT"):
    sys.meta_path.insert(0, Finder())
