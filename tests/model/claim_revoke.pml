/* SPDX-License-Identifier: MIT
 *
 * How tasks are claimed by a worker, taken back from it, given to others, and who is to blame when
 * it dies.
 *
 * Mirrors, by function; check.py looks whether they are still there:
 *   worker/include/bulkhead/detail/task_run.hpp: claim
 *   worker/serve.cpp: is_revoked claim_frame skip_revoked start leave
 *   worker/channel.cpp: turn_away
 *   worker/link.cpp: revoke tasks_begun publish has_finished
 *   worker/fence.cpp: heavy_fence
 *   runtime/slot_answers.cpp: take_answers take_skipped take_leave note_answers
 *   runtime/slot.cpp: feed revoke give_back expire
 *     expect_answers doom begun_at_death bury
 *   runtime/slot.hpp: revoke_waiting revoke_all kept
 *   runtime/coordinator_deaths.cpp: note_death tell_of_death
 *   runtime/coordinator_drive.cpp: rouse help_the_idle
 *
 * One worker is there to the last store; after a death, its successor. What is given to the others
 * is run by them at once, which is the earliest that it could be. Memory is that of x86, as in
 * ring_waking.pml; sleeping is waiting for what one is woken for, as is shown there.
 *
 * When the coordinator takes tasks back, how many it gives out, when it finds that a task is out of
 * time, whether the kernel refuses a barrier, when the worker dies, whether it leaves because it sees
 * no task: all that is left to chance.
 * Errors are
 *   - a task that runs twice, or runs at a worker that it was taken from
 *   - a task with two outcomes, or with none when nobody moves any more
 *   - more than one task to blame for a death, or one that had not begun; but for the task that was
 *     next in line at MOST_RETURNS deaths
 *   - an answer that the coordinator would not understand, or a worker that it takes for one that
 *     has lost answers
 *
 * Left out: callables with state that a worker dies of (Corpse::rebuilt); arguments in pieces;
 * whatever a task writes over. A run of tasks in one frame is like as many frames: each is claimed.
 */

#ifndef TASKS
#define TASKS 3
#endif
#ifndef WINDOW
#define WINDOW 3
#endif
#ifndef DEATHS
#define DEATHS 0 /* without a reason; those that the coordinator wants come on top */
#endif
#ifndef REVOCATIONS
#define REVOCATIONS 2
#endif
#ifndef EXPIRIES
#define EXPIRIES 0
#endif
#ifndef ROUSES
#define ROUSES 0 /* looks for a worker that has lost answers */
#endif
#ifndef REFUSALS
#define REFUSALS 0 /* barriers that the kernel refuses */
#endif
#ifndef LEAVES
#define LEAVES 0 /* of workers that see no task */
#endif
#ifndef ROOM
#define ROOM 2 /* answers for which there is room */
#endif
#ifndef BUFFER
#define BUFFER 2 /* stores that may lie in a buffer */
#endif
#define MOST_RETURNS 2 /* kMostReturns */
#define MOST_SENT 9    /* to one worker */

/* Says once that something has happened that must happen in some run, or the model shows nothing:
 * see check.py. */
#define REACHED(what)                    \
  c_code {                               \
    static int said;                     \
    if (!said++) puts("reached " #what); \
  }

/* The words of both memories. */
#define IN_TAIL 0 /* tasks that were published */
#define OUT_HEAD 1
#define REVOKE_FROM 2
#define REVOKE_TO 3
#define STARTED 4
#define OUT_TAIL 5 /* answers that were published */
#define IN_HEAD 6
#define PARKED 7
byte memory[8];

/* The data of both rings: seen by the other side with the tail that is stored after it. */
byte task[MOST_SENT];
byte answer[MOST_SENT + 1]; /* what kind of */
byte first[MOST_SENT + 1];
byte count[MOST_SENT + 1];
#define READY 1
#define VALUE 2
#define SKIPPED 3
#define LEFT 4

chan coordinator_stores = [BUFFER] of {byte, byte};
chan worker_stores = [BUFFER] of {byte, byte};

bool dead;    /* the worker */
bool buried;  /* and its process is to go */
bool told;    /* the coordinator, of that */
bool killed;  /* by the coordinator */
bool exits;   /* by itself */
byte leavings;
byte deaths;
bool looking;    /* the coordinator has looked at `parked`, and is about to look again; ... */
bool new_ticket; /* ... it has changed meanwhile */

/* Where each task is, and what has become of it. */
#define IN_LEDGER 0
#define AT_WORKER 1
#define SETTLED 2
byte place[TASKS];
bool ran[TASKS];
bool claimed[TASKS];
byte returns[TASKS]; /* ActiveJob::returns_after_death */
byte done;

#define LEAST(a, b) ((a) < (b) -> (a) : (b))

active proctype coordinators_buffer() {
  byte word, value;
  do
  :: atomic { coordinator_stores?word, value -> memory[word] = value; word = 0; value = 0 }
  od
}

active proctype workers_buffer() {
  byte word, value;
  do
  :: atomic {
      worker_stores?word, value ->
      memory[word] = value;
      if
      :: word == PARKED && looking -> new_ticket = true
      :: else
      fi;
      word = 0;
      value = 0
    }
  od
}

/* At any step; but what the processor has executed gets to memory. */
active proctype death() {
  do
  :: atomic {
      !dead && (killed || exits || deaths < DEATHS) ->
      deaths = deaths + (killed || exits -> 0 : 1);
      dead = true
    }
    atomic { empty(worker_stores) -> told = true }
    !dead
  od
}

/* --------------------------------------------------------------------------------------------- */

#define ALIVE !dead
#define W_PUSH(word, value) ALIVE && nfull(worker_stores) -> worker_stores!word, value

/* Channel::park_until(). `condition` is about what the coordinator stores. */
inline park_until(condition) {
  if
  :: atomic { ALIVE && (condition) }
  :: atomic { ALIVE && !(condition) -> W_PUSH(PARKED, 1) }
    atomic { ALIVE && empty(worker_stores) && (condition) -> W_PUSH(PARKED, 0) }
  fi
}

/* Channel::wait_for_room(). */
inline wait_for_room() {
  park_until(written - memory[OUT_HEAD] < ROOM)
}

inline put_answer(what, from, number) {
  atomic {
    ALIVE ->
    answer[written] = what;
    first[written] = from;
    count[written] = number;
    written++;
    W_PUSH(OUT_TAIL, written)
  }
}

/* Server::skip_revoked(). */
inline skip_revoked() {
  atomic {
    ALIVE ->
    end = memory[REVOKE_TO];
#ifndef STARTED_IS_NOT_TAKEN_BACK
    W_PUSH(STARTED, begun);
#endif
    claimed[task[begun]] = false
  }
  skipped_from = begun;
#ifndef ROOM_AFTER_TASKS
  /* While it waits for room, it must not look as if it had done all its tasks. */
  wait_for_room();
#endif
  do
  :: begun >= end -> break
  :: else ->
    park_until(memory[IN_TAIL] > begun);
    atomic {
      ALIVE ->
      begun++;
      W_PUSH(IN_HEAD, begun)
    }
  od;
#ifdef ROOM_AFTER_TASKS
  wait_for_room();
#endif
#ifndef NO_ANSWER_FOR_SKIPPED
  put_answer(SKIPPED, skipped_from, end - skipped_from);
#endif
  atomic { ALIVE -> W_PUSH(STARTED, begun) }
  atomic { end = 0; skipped_from = 0 }
}

inline claim() {
#ifdef LOOKS_BEFORE_CLAIM
  atomic { ALIVE -> revoked = begun < memory[REVOKE_TO] && begun >= memory[REVOKE_FROM] }
#endif
  atomic {
    ALIVE ->
    W_PUSH(STARTED, begun + 1);
    claimed[task[begun]] = true
  }
#if defined(EQUAL_FENCES) && !defined(NO_FENCE_IN_CLAIM)
  ALIVE && empty(worker_stores);
#endif
#ifndef LOOKS_BEFORE_CLAIM
  atomic { ALIVE -> revoked = begun < memory[REVOKE_TO] }
  if
  :: revoked -> atomic { ALIVE -> revoked = begun >= memory[REVOKE_FROM] }
  :: else
  fi
#endif
}

/* Server::leave(): it has seen no task for long. */
inline leave() {
  wait_for_room();
  put_answer(LEFT, begun, 0);
  atomic { ALIVE -> W_PUSH(PARKED, 1) }
#ifndef BEGINS_AFTER_LEAVING
  atomic { ALIVE -> exits = true }
  buried
#endif
}

proctype worker() {
  byte begun, written, end, skipped_from;
  bool revoked;

  {
    put_answer(READY, 0, 0);
    do
    :: atomic { ALIVE && leavings < LEAVES && memory[IN_TAIL] == begun -> leavings++ }
      leave()
    :: park_until(memory[IN_TAIL] > begun);
      claim();
      if
      :: revoked ->
        revoked = false;
        skip_revoked()
      :: else ->
        atomic {
          ALIVE ->
          assert(place[task[begun]] == AT_WORKER && !ran[task[begun]]);
          ran[task[begun]] = true
        }
        wait_for_room();
        put_answer(VALUE, begun, 1);
        atomic {
          ALIVE ->
          begun++;
          W_PUSH(IN_HEAD, begun)
        }
      fi
    od
  } unless {
    buried
  }
}

/* --------------------------------------------------------------------------------------------- */

#define C_PUSH(word, value) nfull(coordinator_stores) -> coordinator_stores!word, value
#define PENDING (memory[OUT_TAIL] != read)

inline settle(number) {
  assert(place[number] == AT_WORKER);
  place[number] = SETTLED;
  done++
}

/* Slot::give_back(): of the tasks in the queue, all but the first `kept`. */
inline give_back(kept) {
  do
  :: queue > kept ->
    queue--;
    assert(place[task[settled + queue]] == AT_WORKER && !ran[task[settled + queue]]);
    place[task[settled + queue]] = IN_LEDGER
  :: else -> break
  od
}

/* Link::publish(). */
inline publish() {
  atomic {
    if
    :: told_tail != sent -> told_tail = sent; C_PUSH(IN_TAIL, sent)
    :: else
    fi;
    if
    :: told_head != read -> told_head = read; C_PUSH(OUT_HEAD, read)
    :: else
    fi
  }
}

/* Slot::take_answers(): of a worker that is not doomed. */
inline drain() {
  atomic {
    do
    :: doomed || !PENDING -> break
    :: else ->
      if
      :: answer[read] == READY ->
        assert(starting);
        starting = false
      :: answer[read] == VALUE ->
        assert(queue != 0 && first[read] == settled && ran[task[settled]]);
        settle(task[settled]);
        queue--;
        settled++;
        if
        :: settled == revoked_to -> revoking = false
        :: else
        fi
      :: answer[read] == SKIPPED -> /* take_skipped() */
        assert(revoking && first[read] == settled && count[read] == revoked_to - settled);
        if
        :: queue != 0 -> REACHED(claimed_too_late)
        :: else
        fi;
        give_back(0);
        settled = revoked_to;
        revoking = false;
        REACHED(skipped)
      :: answer[read] == LEFT -> /* take_leave() */
        assert(!starting && first[read] == settled && memory[STARTED] == settled);
        if
        :: queue != 0 -> REACHED(given_back_by_one_that_leaves)
        :: else
        fi;
        give_back(0);
        revoking = false;
        dismissed = true
      fi;
      answer[read] = 0;
      first[read] = 0;
      count[read] = 0;
      read++
    od
  }
}

/* Slot::feed(), and to the others. */
inline feed() {
  atomic {
    do
    :: queue < WINDOW && next < TASKS ->
      if
      :: place[next] == IN_LEDGER ->
        place[next] = AT_WORKER;
        task[sent] = next;
        sent++;
        queue++
      :: place[next] != IN_LEDGER
      fi;
      next++
    :: break
    od;
    next = 0
  }
}

inline feed_others() {
  atomic {
    do
    :: place[next] == IN_LEDGER -> break
    :: else -> next++
    od;
    assert(!ran[next]);
    ran[next] = true;
    place[next] = SETTLED;
    done++;
    next = 0
  }
}

/* Slot::revoke(). */
inline revoke(from) {
  if
  :: !doomed && !revoking && from < sent ->
    atomic {
      revoking = true;
      revoked_to = sent;
      begun = from;
      C_PUSH(REVOKE_FROM, begun);
      C_PUSH(REVOKE_TO, sent)
    }
#ifndef NO_FENCE_IN_REVOKE
    empty(coordinator_stores);
#endif
    if
    :: refusals < REFUSALS -> /* heavy_fence() is false: nothing comes back now */
      REACHED(refused);
      refusals++
    :: true ->
#if !defined(EQUAL_FENCES) && !defined(NO_MEMBARRIER)
      empty(worker_stores);
#endif
      atomic {
        begun = (memory[STARTED] > begun -> memory[STARTED] : begun);
        assert(begun <= sent);
        if
        :: queue > begun - settled -> REACHED(taken_back)
        :: else
        fi;
        give_back(begun - settled)
      }
    fi;
    begun = 0
  :: else
  fi
}

/* Slot::kept(). */
#define KEPT (starting -> 0 : 1)

/* Slot::expire(), of a task that is out of time. */
inline expire() {
  number = settled;
#ifndef NO_REVOCATION_BEFORE_THE_END
  revoke(settled + KEPT);
#endif
  drain();
  publish();
  atomic {
    if
    :: queue != 0 && settled == number ->
      REACHED(out_of_time);
      doomed = true;
      killed = true
    :: else
    fi;
    number = 0
  }
}

/* Slot::expect_answers(true), of rouse(), and Link::has_finished(), in this order. */
inline expect_answers() {
  if
  :: atomic { queue != 0 && memory[PARKED] -> looking = true }
    if
    :: memory[IN_HEAD] == sent ->
      if
      :: !PENDING ->
#ifdef PARKED_IS_READ_ONCE
        assert(false)
#else
        assert(!memory[PARKED] || new_ticket)
#endif
      :: else
      fi
    :: else
    fi
  :: else
  fi;
  atomic { looking = false; new_ticket = false }
}

/* Slot::begun_at_death(). */
inline count_begun() {
  if
  :: queue == 0 -> begun = 0
  :: else ->
    if
    :: memory[STARTED] > settled && memory[STARTED] <= sent ->
      begun = LEAST(memory[STARTED] - settled, queue)
    :: else ->
      if
      :: doomed || memory[STARTED] > sent -> begun = 1
      :: starting -> begun = 0
      :: else ->
        returns[task[settled]]++;
        begun = (returns[task[settled]] >= MOST_RETURNS -> 1 : 0)
      fi
    fi
  fi
}

/* Coordinator::note_death() and Slot::bury(); then the successor. */
inline note_death() {
#ifndef NO_DRAIN_BEFORE_BLAME
  drain();
#endif
  atomic {
    count_begun();
    assert(begun <= 1);
    if
    :: begun == 1 ->
      if
      :: doomed && ran[task[settled]] && PENDING -> REACHED(answered_too_late)
      :: !doomed && claimed[task[settled]] -> REACHED(blamed)
      :: !doomed && !claimed[task[settled]] -> REACHED(blamed_though_not_begun)
      :: else
      fi;
      assert(doomed || claimed[task[settled]] || returns[task[settled]] >= MOST_RETURNS);
      settle(task[settled]);
      settled++;
      queue--
    :: else
    fi;
    if
    :: queue != 0 -> REACHED(given_back_after_death)
    :: else
    fi;
    give_back(0);
    empty(coordinator_stores);
    number = 0;
    do
    :: number == 8 -> break
    :: else -> memory[number] = 0; number++
    od;
    number = 0;
    do
    :: number == TASKS -> break
    :: else -> claimed[number] = false; number++
    od;
    number = 0;
    begun = 0;
    sent = 0;
    settled = 0;
    read = 0;
    revoking = false;
    revoked_to = 0;
    doomed = false;
    dismissed = false;
    starting = true;
    killed = false;
    exits = false;
    told = false;
    told_tail = 0;
    told_head = 0;
    buried = true
  }
  atomic {
    _nr_pr == 4 ->
    buried = false;
    dead = false;
    run worker()
  }
}

active proctype coordinator() {
  byte sent, settled, queue, revoked_to, read, told_tail, told_head;
  bool starting = true, revoking, doomed, dismissed;
  byte revocations, expiries, refusals, rouses, begun, next, number;

  run worker();
  do
  :: done == TASKS -> break
  :: told -> note_death()
#ifdef FEEDS_WHILE_REVOKING
  :: !doomed && !dismissed && done + queue < TASKS && queue < WINDOW ->
#else
  :: !doomed && !revoking && !dismissed && done + queue < TASKS && queue < WINDOW ->
#endif
    feed();
    publish()
  :: done + queue < TASKS -> feed_others()
  :: !doomed && PENDING ->
    drain();
    publish()
  :: revocations < REVOCATIONS && !doomed && !revoking && queue != 0 ->
    revocations++;
    if
    :: true -> revoke(settled + KEPT)
    :: true -> revoke(settled)
    fi
  :: expiries < EXPIRIES && !doomed && queue != 0 ->
    expiries++;
    expire()
  :: rouses < ROUSES && !doomed && queue != 0 ->
    rouses++;
    expect_answers()
  :: timeout -> assert(false) /* nobody moves any more, and tasks are missing */
  od
}
