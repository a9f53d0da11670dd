#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check.py --list | NAME...: checks the models of the protocols with spin; without names: all of them.

A check is a model with some settings. Where nothing is broken on purpose, spin must go through all states, find no
error, and have come by the places that the check names (REACHED in the model). Where something is, a fence left out,
say, spin must find an error: a model that does not is blind. One more check looks whether the functions that the models
mirror are still where they say.
"""
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MEMORY = 1 << 30
SECONDS = 240

ALWAYS = ("second_look_of_worker woken_before_it_sleeps sleeps_for_tasks second_look_of_coordinator "
          "coordinator_wakes_worker")
CALM = "MOODY=false"


@dataclass(frozen=True)
class Check:
    model: str
    settings: str
    reaches: str = ""  # what must happen; empty: something is broken, and an error must be found

    @property
    def broken(self) -> bool:
        return not self.reaches


CHECKS = {
    "ring.no_wake_is_lost": Check(
        "ring_waking", "START=5", ALWAYS + " rings_half_way padding_of_inbox padding_of_outbox"),
    "ring.nor_with_ordinary_fences": Check("ring_waking", f"{CALM} EQUAL_FENCES", ALWAYS + " rings_half_way"),
    "ring.nor_in_runs": Check(
        "ring_waking", f"{CALM} RUNS START=5",
        ALWAYS + " rings_half_way frame_cut_short frame_seen_cut_short frame_that_grows"),
    "ring.nor_with_values_in_pieces": Check(
        "ring_waking", f"{CALM} LARGE TASKS=2", ALWAYS + " argument_in_pieces result_in_pieces"),
    "ring.nor_with_a_full_outbox": Check(
        "ring_waking", f"{CALM} LONG_RESULTS", ALWAYS + " sleeps_for_room"),
    "ring.nor_with_results_that_are_lent": Check(
        "ring_waking", f"{CALM} BROADCASTS", ALWAYS + " sleeps_until_taken"),
    "ring.what_was_published_survives_a_death": Check("ring_waking", f"{CALM} DEATH", ALWAYS + " death"),
    "ring.so_does_half_a_run": Check(
        "ring_waking", f"{CALM} DEATH RUNS TASKS=2", ALWAYS + " death frame_that_grows"),
    "ring.needs_the_fence_of_a_worker_that_parks": Check("ring_waking", f"{CALM} NO_FENCE_BEFORE_WORKER_SLEEPS"),
    "ring.needs_the_second_look_of_the_worker": Check("ring_waking", f"{CALM} NO_SECOND_LOOK_OF_WORKER"),
    "ring.needs_the_ring_of_a_worker_that_parks": Check("ring_waking", f"{CALM} NO_RING_BEFORE_WORKER_SLEEPS"),
    "ring.needs_the_wake_word_read_first": Check("ring_waking", f"{CALM} WAKE_SEEN_TOO_LATE"),
    "ring.needs_the_fence_of_publish": Check("ring_waking", f"{CALM} NO_FENCE_BEFORE_LOOKING_AT_PARKED"),
    "ring.needs_the_fence_of_arm_bells": Check("ring_waking", f"{CALM} NO_FENCE_BEFORE_COORDINATOR_SLEEPS"),
    "ring.needs_membarrier": Check("ring_waking", f"{CALM} NO_MEMBARRIER"),
    "ring.needs_the_second_look_of_the_coordinator": Check("ring_waking", f"{CALM} NO_SECOND_LOOK_OF_COORDINATOR"),
    "ring.needs_the_tail_after_the_frame": Check("ring_waking", f"{CALM} TAIL_BEFORE_FRAME"),
    "ring.needs_the_head_after_the_reading": Check("ring_waking", f"{CALM} HEAD_BEFORE_READ TASKS=4"),
    "ring.needs_a_wake_for_room": Check("ring_waking", f"{CALM} NO_WAKE_FOR_ROOM LARGE TASKS=2"),
    "ring.needs_runs_shorter_than_the_ring": Check("ring_waking", f"{CALM} RUNS CAPACITY=4 RUN=3"),
    "ring.needs_padding_not_taken_for_done": Check("ring_waking", "START=5 PADDING_IS_DONE"),
    "claim.no_task_runs_twice": Check("claim_revoke", "REVOCATIONS=2", "taken_back skipped claimed_too_late"),
    "claim.nor_with_ordinary_fences": Check(
        "claim_revoke", "REVOCATIONS=1 EQUAL_FENCES", "taken_back skipped claimed_too_late"),
    "claim.nor_where_barriers_are_refused": Check(
        "claim_revoke", "REVOCATIONS=1 REFUSALS=1", "taken_back skipped claimed_too_late refused"),
    "claim.no_honest_worker_is_doomed": Check(
        "claim_revoke", "REVOCATIONS=1 ROUSES=1", "taken_back skipped claimed_too_late"),
    "claim.a_death_costs_the_task_that_had_begun": Check(
        "claim_revoke", "REVOCATIONS=1 DEATHS=1 TASKS=2", "taken_back skipped blamed given_back_after_death"),
    "claim.so_do_two": Check(
        "claim_revoke", "REVOCATIONS=0 DEATHS=2", "blamed blamed_though_not_begun given_back_after_death"),
    "claim.a_task_out_of_time_has_one_outcome": Check(
        "claim_revoke", "REVOCATIONS=0 EXPIRIES=1", "taken_back out_of_time answered_too_late"),
    "claim.also_where_a_worker_dies_before": Check(
        "claim_revoke", "REVOCATIONS=0 EXPIRIES=1 DEATHS=1 TASKS=2", "out_of_time answered_too_late blamed"),
    "claim.a_worker_that_leaves_by_itself_costs_no_task": Check(
        "claim_revoke", "REVOCATIONS=1 LEAVES=1 TASKS=2", "given_back_by_one_that_leaves taken_back"),
    "claim.nor_does_one_that_seems_to_sleep": Check(
        "claim_revoke", "REVOCATIONS=0 LEAVES=1 DEATHS=1 ROUSES=1 TASKS=2", "given_back_by_one_that_leaves blamed"),
    "claim.needs_a_worker_that_leaves_to_begin_nothing": Check(
        "claim_revoke", "REVOCATIONS=0 LEAVES=1 BEGINS_AFTER_LEAVING"),
    "claim.needs_membarrier": Check("claim_revoke", "REVOCATIONS=1 NO_MEMBARRIER"),
    "claim.needs_the_fence_of_the_claim": Check("claim_revoke", "REVOCATIONS=1 EQUAL_FENCES NO_FENCE_IN_CLAIM"),
    "claim.needs_the_fence_of_the_revocation": Check("claim_revoke", "REVOCATIONS=1 EQUAL_FENCES NO_FENCE_IN_REVOKE"),
    "claim.needs_the_claim_before_the_look": Check("claim_revoke", "REVOCATIONS=1 EQUAL_FENCES LOOKS_BEFORE_CLAIM"),
    "claim.needs_claims_withdrawn": Check("claim_revoke", "REVOCATIONS=1 DEATHS=1 TASKS=2 STARTED_IS_NOT_TAKEN_BACK"),
    "claim.needs_an_answer_for_skipped_tasks": Check("claim_revoke", "REVOCATIONS=1 NO_ANSWER_FOR_SKIPPED"),
    "claim.needs_no_feeding_while_revoking": Check("claim_revoke", "REVOCATIONS=1 FEEDS_WHILE_REVOKING"),
    "claim.needs_a_revocation_before_the_end": Check(
        "claim_revoke", "REVOCATIONS=0 EXPIRIES=1 NO_REVOCATION_BEFORE_THE_END"),
    "claim.needs_answers_taken_before_blame": Check("claim_revoke", "REVOCATIONS=0 DEATHS=1 NO_DRAIN_BEFORE_BLAME"),
    "claim.needs_room_before_tasks_are_skipped": Check("claim_revoke", "REVOCATIONS=1 ROUSES=1 ROOM_AFTER_TASKS"),
    "claim.needs_a_second_look_at_parked": Check("claim_revoke", "REVOCATIONS=1 ROUSES=1 PARKED_IS_READ_ONCE"),
}
FUNCTIONS = "functions_are_where_the_models_say"


class Failure(Exception):
    pass


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def run(*command: str, where: str) -> str:
    done = subprocess.run(command, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=2 * SECONDS, preexec_fn=limit)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command[:2])}: exit code {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout


def verify(check: Check, where: str) -> str:
    """What was found, in a few words. Raises Failure if that is not what should be."""
    model = str(HERE / f"{check.model}.pml")
    said = run(os.environ.get("SPIN", "spin"), "-a", *[f"-D{s}" for s in check.settings.split()], model, where=where)
    if "Error" in said:
        raise Failure(said)
    # Many small programs: what the optimizer saves it has cost before. But for the largest, which runs long.
    optimize = "-O1" if check.settings.startswith("START") and not check.broken else "-O0"
    run("gcc", optimize, "-w", "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=512",
        f"-DMEMLIM={(MEMORY >> 20) - 100}", "-o", "pan", "pan.c", where=where)
    # -E: a worker that waits for ever is as it should be; the models look for deadlocks themselves.
    output = run("./pan", "-E", "-m20000", "-w20", where=where)
    found = re.search(r"errors: (\d+)", output)
    states = re.search(r"(\d+) states, stored", output)
    if not found or not states or "search depth too small" in output:
        raise Failure("the search was not finished:\n" + output[-2000:])
    violated = re.search(r"assertion violated (.*) \(at depth", output)
    if check.broken:
        if found[1] == "0" or not violated:
            raise Failure(f"something is broken on purpose, and no assertion was violated:\n{output[-2000:]}")
        return f"error found, as it should be, among {states[1]} states"
    if found[1] != "0" or "Search not completed" in output:
        raise Failure(f"error: {violated[1] if violated else ''}\n{output[:2000]}")
    missing = set(check.reaches.split()) - set(re.findall(r"^reached (\w+)$", output, re.MULTILINE))
    if missing:
        raise Failure("shows nothing, as it never happens: " + ", ".join(sorted(missing)))
    return f"{states[1]} states, no error"


def look_for_functions() -> str:
    count = 0
    for model in sorted(HERE.glob("*.pml")):
        header = model.read_text(encoding="utf-8").split("*/")[0]
        mirrored = re.findall(r"^ \*   ([\w/.]+\.[ch]pp): ((?:[\w ]|\n \*     )+)$", header, re.MULTILINE)
        if not mirrored:
            raise Failure(f"{model.name} names no functions")
        for path, names in mirrored:
            file = ROOT / path
            text = file.read_text(encoding="utf-8") if file.exists() else ""
            for name in names.replace("*", " ").split():
                count += 1
                if not re.search(rf"\b{name}\(", text):
                    raise Failure(f"{model.name} mirrors {name}() of {path}, which is not there: does it still hold?")
    return f"{count} functions are there"


def main() -> int:
    names = sys.argv[1:] or [FUNCTIONS, *CHECKS]
    if names == ["--list"]:
        print("\n".join([FUNCTIONS, *CHECKS]))
        return 0
    failures = 0
    for name in names:
        began = time.monotonic()
        try:
            if name == FUNCTIONS:
                result = look_for_functions()
            else:
                with tempfile.TemporaryDirectory() as where:
                    result = verify(CHECKS[name], where)
        except (Failure, subprocess.TimeoutExpired) as why:
            failures += 1
            result = f"FAILED: {why}"
        print(f"{name}: {result} ({time.monotonic() - began:.1f} s)", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
