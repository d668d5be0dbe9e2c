"""Plant one fault in the job of one rule, once. Python loads a sitecustomize.py on PYTHONPATH by itself.

PLANTED_FAULT is "rule:ending:folder". Endings: failed, out_of_memory, killed_before, killed_in_the_middle,
killed_between_files, killed_after, left_behind (the job waits for a file `go` in the folder and does not look
for other runs).
"""

import importlib.machinery
import os
import signal
import sys
import time
from pathlib import Path

MODULE = "repurpose.provenance.jobs"


class Finder:
    """Import hook: loads one module in the usual way and then plants the fault in it."""

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


def plant(jobs, rule, ending, folder):
    begin, commit, move = jobs.Job.__init__, jobs.Job._commit, jobs.shelf.move
    fault_folder = Path(folder)

    def is_due(job):
        """True if this job belongs to the rule and the fault has not yet happened."""
        if job.wanted.rule != rule:
            return False
        try:
            (fault_folder / "fired").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def begin_with_fault(self, job_description):
        if ending == "left_behind":
            jobs.WATCH_SECONDS = 1e6
        begin(self, job_description)
        if ending == "killed_before" and is_due(self):
            die()

    def commit_with_fault(self, staged):
        if ending in ("killed_between_files", "killed_after"):
            return commit_with_fault_in_moves(self, staged)
        if ending not in ("killed_before",) and is_due(self):
            if ending == "failed":
                raise jobs.InputError("planted fault")
            if ending == "out_of_memory":
                raise MemoryError("planted: unable to allocate")
            if ending == "killed_in_the_middle":
                next(path for path in Path(staged).rglob("*") if path.is_file()).unlink()
                die()
            (fault_folder / "waiting").write_text(str(os.getpid()))
            while not (fault_folder / "go").exists():
                time.sleep(0.05)
        return commit(self, staged)

    def commit_with_fault_in_moves(self, staged):
        if not is_due(self):
            return commit(self, staged)
        if ending == "killed_after":
            commit(self, staged)
            die()
        moved = []

        def move_once(source, target):
            if moved:
                die()
            moved.append(target)
            move(source, target)

        jobs.shelf.move = move_once
        return commit(self, staged)

    jobs.Job.__init__, jobs.Job._commit = begin_with_fault, commit_with_fault


if os.environ.get("PLANTED_FAULT"):
    sys.meta_path.insert(0, Finder())
