/* SPDX-License-Identifier: MIT
 *
 * One coordinator, one worker, the two rings between them, and how each sleeps and is woken.
 *
 * Mirrors, by function; check.py looks whether they are still there:
 *   worker/include/bulkhead/detail/ring.hpp: reserve room finish open close refresh_head peek
 *     advance release refresh_tail
 *   worker/include/bulkhead/detail/task_run.hpp: begin end claim skip
 *   worker/channel.cpp: park_until next wait_for_room wait_until_taken ring_if_parked next_frame
 *     begin_frame write_slow
 *   worker/channel.hpp: ring_if_due
 *   worker/serve.cpp: make_room fail serve_task serve_run hand_over
 *   worker/link.cpp: publish wake_anyway aim_bell aim_bell_at_next_step has_news has_finished
 *   worker/link.hpp: has_got_on
 *   worker/fence.cpp: heavy_fence
 *   worker/wake.cpp: futex_wait futex_wake_one ring wait
 *   worker/task_sink.cpp: pump
 *   runtime/slot_answers.cpp: take_answers
 *   runtime/slot.cpp: feed pump expect_answers
 *   runtime/coordinator_drive.cpp: pass serve park sleep arm_bells
 *
 * Memory is that of x86 (TSO): a store lies in a buffer of its process until that drains, at any
 * time later, in order. A fence, and a system call that wakes or sleeps, waits until the buffer of
 * its own process is empty; the coordinator's membarrier(2) until that of the worker is, too.
 *
 * No sleep ends by itself: what the code mends by a time-out is an error here. Errors are
 *   - a state in which nobody moves, though there is a task without an answer (see `timeout`)
 *   - with a task that never ends: a coordinator that sleeps though there is news for it
 *   - a frame, a number or a position that is not the next one
 *   - a worker that is taken for one that has lost answers
 *   - with -DDEATH, after a death at any step: an answer that was published and is not found
 *
 * Left out: what is in a frame beside the number of its task (one place stands for eight bytes or
 * for many, a header takes one); gaps too small for a header; spinning, which ends in parking;
 * doorbells that a task has closed; administering frames, which are like tasks without an answer.
 */

#ifndef TASKS
#define TASKS 3
#endif
#ifndef CAPACITY
#define CAPACITY 8
#endif
#define QUARTER (CAPACITY / 4)
/* What depends on time, and is left to chance here: how many tasks the coordinator gives away, when
 * it looks at all workers, when it has become impatient. */
#ifndef MOODY
#define MOODY true
#endif
#ifndef BUFFER
#define BUFFER 2 /* stores that may lie in a buffer */
#endif
#ifndef RUN
#define RUN 2 /* kRunBytes: most tasks of a run, and most results of a frame that grows */
#endif
#ifndef WINDOW
#define WINDOW 3 /* tasks that may be with the worker */
#endif
#ifndef START
#define START 0 /* position of both rings: where they have got to before */
#endif

/* Places that the argument and the result of a task take. */
#if defined(LARGE)
#define ARGUMENT(task) ((task) == 1 -> 5 : 1)
#define RESULT(task) ((task) == 1 -> 5 : 1)
#elif defined(RUNS)
#define ARGUMENT(task) 1
#define RESULT(task) 1
#elif defined(LONG_RESULTS)
#define ARGUMENT(task) 1
#define RESULT(task) 2
#else
#define ARGUMENT(task) (1 + (task) % 2)
#define RESULT(task) 1
#endif
#ifdef BROADCASTS /* results that lie in the worker's own memory: see hand_over() */
#define LENDS(task) ((task) % 2 == 0)
#else
#define LENDS(task) false
#endif

/* Frames. */
#define PADDING 1
#define TASK 2
#define RUN_OF_TASKS 3
#define VALUE 4
#define VALUES 5
#define THROWN 6
#define WAITS 7
#define HEADER(kind, more, length) ((kind) << 4 | (more) << 3 | (length))
#define KIND(header) ((header) >> 4)
#define MORE(header) ((header) >> 3 & 1)
#define LENGTH(header) ((header) & 7)

/* The words of both memories, and the data of the answer ring, of which one place is written again
 * after it was published: the header of a frame that grows. */
#define IN_TAIL 0
#define OUT_HEAD 1
#define BELL_AT 2
#define WAKE 3
#define OUT_TAIL 4
#define IN_HEAD 5
#define PARKED 6
#define OUTBOX 7
#define NO_BELL 255
byte memory[OUTBOX + CAPACITY];
byte inbox[CAPACITY];

chan coordinator_stores = [BUFFER] of {byte, byte};
chan worker_stores = [BUFFER] of {byte, byte};

bool begin;   /* the words are what they are at START */
bool bell;    /* the doorbell has been rung since the coordinator last waited: an edge */
bool asleep;  /* the worker, on its futex */
bool dead;    /* the worker */
bool told;    /* the coordinator, of that: the control socket */
bool endless; /* the task that runs never ends */

/* Two numbers of the code grow without end, and are only asked whether they are still what they
 * were. Here they do not grow, and what is kept is the answer. */
bool unwoken;  /* `parked` has changed since it was last stored as Link::woken_ */
bool wake_new; /* `wake` has changed since park_until() looked at it */

active proctype coordinators_buffer() {
  byte place, value;
  do
  :: atomic {
      coordinator_stores?place, value ->
      memory[place] = value;
      if
      :: place == WAKE -> wake_new = true
      :: else
      fi;
      place = 0;
      value = 0
    }
  od
}

active proctype workers_buffer() {
  byte place, value;
  do
  :: atomic {
      worker_stores?place, value ->
      memory[place] = value;
      if
      :: place == PARKED -> unwoken = true
      :: else
      fi;
      place = 0;
      value = 0
    }
  od
}

#ifdef DEATH
/* At any step; but what the processor has executed gets to memory. */
active proctype death() {
  dead = true;
  empty(worker_stores) -> told = true
}
#endif

#define AT(position) ((position) % CAPACITY)
#define CONTIGUOUS(position) (CAPACITY - AT(position))
#define FREE(write, head) (CAPACITY - ((write) - (head)))
#define LEAST(a, b) ((a) < (b) -> (a) : (b))
#define MOST(a, b) ((a) > (b) -> (a) : (b))
/* The longest payload in so much room. */
#define WITHIN(room) ((room) > 1 -> (room) - 1 : 0)
/* RingWriter::room() once the head has been looked at. */
#define HERE(write, head) WITHIN(LEAST(FREE(write, head), CONTIGUOUS(write)))
#define WRAPPED(write, head) \
  (FREE(write, head) > CONTIGUOUS(write) -> WITHIN(FREE(write, head) - CONTIGUOUS(write)) : 0)
#define ROOM(write, head, enough) \
  (HERE(write, head) >= (enough) -> HERE(write, head) \
                                 : MOST(HERE(write, head), WRAPPED(write, head)))
#define GAP(write, payload) ((payload) + 1 > CONTIGUOUS(write) -> CONTIGUOUS(write) : 0)
#define FITS(write, head, payload) \
  ((write) + GAP(write, payload) + (payload) + 1 - (head) <= CAPACITY)

/* Says once that something has happened that must happen in some run, or the model shows nothing:
 * see check.py. */
#define REACHED(what)                    \
  c_code {                               \
    static int said;                     \
    if (!said++) puts("reached " #what); \
  }

/* --------------------------------------------------------------------------------------------- */

/* What a side does between two looks at the other's memory is one step: its own stores go into its
 * buffer, and it is the buffer that decides when they are seen. */
#define W_PUSH(place, value) !dead && nfull(worker_stores) -> worker_stores!place, value
#define W_FENCE (!dead && empty(worker_stores))
#define W_RING atomic { W_FENCE -> bell = true }

#define TASKS_COME 0
#define ALL_TAKEN 255
/* `ready` of park_until(): tasks, so much room, or no answer left in the outbox. */
inline look(wanted) {
  if
  :: wanted == TASKS_COME -> ready = memory[IN_TAIL] != read
  :: wanted == ALL_TAKEN -> ready = memory[OUT_HEAD] == write
  :: else ->
    head = memory[OUT_HEAD];
    ready = ROOM(write, head, wanted) >= wanted
  fi
}

inline ring_if_parked() {
  if
  :: atomic { !dead && memory[BELL_AT] != NO_BELL } -> W_RING
  :: atomic { !dead && memory[BELL_AT] == NO_BELL }
  fi
}

inline park_until(wanted) {
  do
  :: atomic {
      !dead -> look(wanted);
      if
      :: ready -> break
      :: else
      fi
    }
    atomic {
      !dead -> wake_new = false; /* seen := wake */
      W_PUSH(PARKED, 1)
    }
    atomic {
#ifdef NO_FENCE_BEFORE_WORKER_SLEEPS
      !dead ->
#else
      W_FENCE ->
#endif
#ifndef NO_SECOND_LOOK_OF_WORKER
      look(wanted)
#else
      skip
#endif
    }
    if
    :: ready -> REACHED(second_look_of_worker)
    :: else ->
#ifndef NO_RING_BEFORE_WORKER_SLEEPS
      ring_if_parked();
#endif
#ifdef WAKE_SEEN_TOO_LATE
      atomic { !dead -> wake_new = false }
#endif
      atomic {
        W_FENCE ->
        if
        :: wake_new -> REACHED(woken_before_it_sleeps)
        :: else ->
          asleep = true;
          if
          :: wanted == TASKS_COME -> REACHED(sleeps_for_tasks)
          :: wanted == ALL_TAKEN -> REACHED(sleeps_until_taken)
          :: else -> REACHED(sleeps_for_room)
          fi
        fi
      }
      !asleep
    fi;
    atomic { !dead -> W_PUSH(PARKED, 0) }
  od
}

/* RingReader::peek() of frames that do not grow: `header` is 0 if there is nothing. */
inline peek_task() {
  do
  :: read == tail && memory[IN_TAIL] == tail -> break
  :: read == tail && memory[IN_TAIL] != tail ->
    tail = memory[IN_TAIL];
    assert(tail > read && tail - released <= CAPACITY)
  :: read != tail ->
    header = inbox[AT(read)];
    assert(header != 0 && 1 + LENGTH(header) <= LEAST(CONTIGUOUS(read), tail - read));
    if
    :: KIND(header) != PADDING -> break
    :: else ->
      REACHED(padding_of_inbox);
      read = read + 1 + LENGTH(header);
      header = 0
    fi
  od
}

/* Channel::next(). */
inline next() {
  do
  :: atomic {
      !dead -> peek_task();
      if
      :: header != 0 -> break
      :: else
      fi
    }
    park_until(TASKS_COME)
  od
}

/* RingReader::advance() and release() of a frame. */
inline step_over() {
  atomic {
    !dead ->
    read = read + 1 + LENGTH(header);
    released = read;
    header = 0;
    W_PUSH(IN_HEAD, released)
  }
}

/* What the claim takes for done: what has been given back. Padding has been read, but not that. */
#ifdef PADDING_IS_DONE
#define DONE_AT read
#else
#define DONE_AT released
#endif

/* TaskRun::claim(): what of it is about waking. */
inline claim() {
#ifdef EQUAL_FENCES
  W_FENCE;
#endif
  if
  :: atomic {
      !dead && memory[BELL_AT] <= done_at && memory[BELL_AT] != rung ->
      REACHED(rings_half_way);
      rung = memory[BELL_AT]
    }
    W_RING
  :: atomic { !dead && (memory[BELL_AT] > done_at || memory[BELL_AT] == rung) }
  fi
}

/* The user's function, which may never return. */
inline run_task(argument) {
  atomic {
    assert(argument == begun);
    if
    :: true
    :: !dead -> endless = true; false
    fi
  }
}

inline put_padding() {
  if
  :: gap != 0 -> memory[OUTBOX + AT(write)] = HEADER(PADDING, 0, gap - 1)
  :: else
  fi;
  write = write + gap;
  gap = 0
}

/* MessageWriter::begin_frame(), what write_slow() puts into the frame, and send(): of an answer
 * of which `left` places are missing, as much as there is room for. */
inline send_frame(kind, number) {
  park_until(1);
#ifdef TAIL_BEFORE_FRAME
  atomic { !dead -> W_PUSH(OUT_TAIL, write + GAP(write, 1) + 2) }
#endif
  atomic {
    !dead ->
    room = LEAST(LEAST(ROOM(write, head, 1), QUARTER), left);
    /* The gap is that before the room that was reserved, not before what of it is used. */
    gap = GAP(write, LEAST(ROOM(write, head, 1), QUARTER));
    put_padding();
    left = left - room;
    memory[OUTBOX + AT(write)] = HEADER(kind, (left != 0 -> 1 : 0), room);
    write++;
    do
    :: room == 0 -> break
    :: else ->
      memory[OUTBOX + AT(write)] = number;
      write++;
      room--
    od;
    W_PUSH(OUT_TAIL, write)
  }
}

inline answer(kind, number, size) {
  left = size;
  do
  :: send_frame(kind, number);
    if
    :: left == 0 -> break
    :: else ->
      W_FENCE;
      ring_if_parked()
    fi
  od
}

/* A frame of results that grows: RingWriter::close(). */
inline close_run() {
  atomic {
    if
    :: open != 0 && result_at != write + 1 ->
      if
      :: result_at - write - 1 != open ->
        REACHED(frame_cut_short);
        W_PUSH(OUTBOX + AT(write), HEADER(VALUES, 0, result_at - write - 1))
      :: else
      fi;
      write = result_at
    :: else
    fi;
    open = 0;
    result_at = 0;
    room = 0
  }
}

inline make_room() {
  close_run();
  park_until(1);
  atomic {
    !dead ->
    room = LEAST(LEAST(left, ROOM(write, head, 1)), RUN);
    gap = GAP(write, room);
    put_padding();
    memory[OUTBOX + AT(write)] = HEADER(VALUES, 0, room);
    open = room;
    result_at = write + 1
  }
}

/* TaskRun::end(), but for skip(). */
inline put_result() {
  memory[OUTBOX + AT(result_at)] = begun;
  result_at++;
  room--;
  W_PUSH(OUT_TAIL, result_at)
}

/* TaskRun::skip(): gives the cell of one argument back. */
inline skip_cell() {
  done_at++;
  begun++;
  cells--;
  W_PUSH(IN_HEAD, done_at)
}

inline serve_run() {
  atomic {
    cells = LENGTH(header);
    done_at = DONE_AT
  }
  do
  :: cells == 0 -> break
  :: else ->
    left = cells;
    if
    :: room == 0 -> make_room()
    :: else
    fi;
    claim();
    if
    :: cells == LENGTH(header) -> done_at = read + 1
    :: else
    fi;
    run_task(inbox[AT(done_at)]);
    if
    :: atomic {
        !dead ->
        put_result();
        skip_cell()
      }
    :: begun != 0 -> /* it throws: fail(), answer_exception() */
      close_run();
      answer(THROWN, begun, 1);
      atomic { !dead -> skip_cell() }
    fi
  od;
  close_run();
  left = 0;
  done_at = 0;
  step_over()
}

inline serve_task() {
  done_at = DONE_AT;
  claim();
  done_at = 0;
  park_until(1); /* begin_frame() of the answer, before the argument is read */
  do
  :: !MORE(header) -> break
  :: MORE(header) -> /* MessageReader::next_frame() */
    REACHED(argument_in_pieces);
    assert(inbox[AT(read + 1)] == begun);
    step_over();
    next()
  od;
#ifdef HEAD_BEFORE_READ
  atomic { !dead -> W_PUSH(IN_HEAD, read + 1 + LENGTH(header)) }
#endif
  run_task(inbox[AT(read + 1)]);
  answer(VALUE, begun, RESULT(begun));
  if
  :: LENDS(begun) -> /* hand_over() */
    send_frame(WAITS, 0);
    W_FENCE;
    ring_if_parked();
    park_until(ALL_TAKEN)
  :: else
  fi;
  begun++;
  step_over()
}

active proctype worker() {
  byte read = START, tail = START, released = START, header; /* RingReader */
  byte write = START, head = START, gap;                     /* RingWriter */
  byte rung = NO_BELL;                                       /* Channel */
  byte begun, done_at, cells, result_at, open;               /* TaskRun */
  byte left, room;                                           /* TaskRun, MessageWriter */
  bool ready;

  begin;
  do
  :: next();
    if
    :: KIND(header) == TASK -> serve_task()
    :: KIND(header) == RUN_OF_TASKS -> serve_run()
    fi
  od
}

/* --------------------------------------------------------------------------------------------- */

#define C_PUSH(place, value) nfull(coordinator_stores) -> coordinator_stores!place, value
#define C_FENCE empty(coordinator_stores)
/* What is there already need not be stored again. */
#define PUSH_IF_NEW(last, place, value) \
  if \
  :: last != value -> \
    last = value; \
    C_PUSH(place, value) \
  :: else \
  fi

/* RingWriter::refresh_head(). */
inline refresh_head() {
  assert(memory[IN_HEAD] >= head && memory[IN_HEAD] <= write);
  head = memory[IN_HEAD]
}

/* RingReader::taken(). */
#define TAKEN (offset == 0 -> read : read + 1 + offset)

inline aim_bell() {
  atomic {
    refresh_head();
    ahead = write - head - (write - head) / 2;
    if
    :: write == head && memory[OUT_TAIL] != TAKEN -> ahead = 0
    :: else -> ahead = MOST(ahead, 1)
    fi;
    aim = head + ahead;
    half_way = aim - ahead / 2;
    ahead = 0
  }
}

/* Link::has_news() and Slot::can_pump(). In one step: what they read later they read newer, and
 * that makes more news. */
inline look_for_news() {
  refresh_head();
  news = head >= aim || memory[OUT_TAIL] - TAKEN >= QUARTER ||
         (memory[PARKED] && memory[OUT_TAIL] != TAKEN) ||
         (outbound != 0 && ROOM(write, head, LEAST(outbound, QUARTER)) >= 1)
}

inline publish() {
  atomic {
    more = write != published || owes_wake;
    owes_wake = false;
    published = write;
    if
    :: read - room_told >= QUARTER ->
      room_told = read;
#ifndef NO_WAKE_FOR_ROOM
      more = true
#endif
    :: else
    fi;
    PUSH_IF_NEW(told_tail, IN_TAIL, write);
    PUSH_IF_NEW(told_head, OUT_HEAD, read)
  }
  aim_bell();
  if
  :: more ->
    atomic {
#ifndef NO_FENCE_BEFORE_LOOKING_AT_PARKED
      C_FENCE ->
#endif
      more = memory[PARKED] && unwoken;
      if
      :: more ->
        REACHED(coordinator_wakes_worker);
        unwoken = false; /* woken_ := ticket */
        C_PUSH(WAKE, 0)
      :: else
      fi
    }
    if
    :: more -> atomic { C_FENCE -> asleep = false; more = false }
    :: else
    fi
  :: else
  fi
}

/* Slot::take_answers(): one frame, or what has come of one that grows; `header` is 0 if there was
 * none. */
inline take_answer() {
  header = 0;
  do
  :: TAKEN == tail ->
    tail = memory[OUT_TAIL];
    assert(tail >= TAKEN && tail - read <= CAPACITY);
    if
    :: TAKEN == tail -> break
    :: else
    fi
  :: else ->
    header = memory[OUTBOX + AT(read)];
    assert(header != 0 && 1 + LENGTH(header) <= CONTIGUOUS(read));
    if
    :: KIND(header) == VALUES ->
      length = LENGTH(header);
      step = LEAST(length, tail - read - 1);
      assert(step >= offset);
      step = step - offset;
      if
      :: step != 0 -> break
      :: else ->
        REACHED(frame_seen_cut_short);
        assert(offset == length);
        read = read + 1 + length;
        offset = 0
      fi
    :: else ->
      assert(offset == 0 && 1 + LENGTH(header) <= tail - read);
      if
      :: KIND(header) != PADDING -> break
      :: else ->
        REACHED(padding_of_outbox);
        read = read + 1 + LENGTH(header)
      fi
    fi;
    header = 0
  od;
  if
  :: header == 0
  :: KIND(header) == VALUES ->
    do
    :: step == 0 -> break
    :: else ->
      assert(queue != 0 && memory[OUTBOX + AT(read + 1 + offset)] == settled);
      settled++;
      queue--;
      offset++;
      step--
    od;
    if
    :: offset == length -> read = read + 1 + length; offset = 0
    :: else -> REACHED(frame_that_grows)
    fi
  :: KIND(header) == VALUE || KIND(header) == THROWN ->
    assert(queue != 0 && memory[OUTBOX + AT(read + 1)] == settled);
    read = read + 1 + LENGTH(header);
    inbound = MORE(header);
    if
    :: !inbound ->
      settled++;
      queue--
    :: else -> REACHED(result_in_pieces)
    fi
  :: KIND(header) == WAITS ->
    read = read + 1;
    owes_wake = true
  fi;
  length = 0
}

inline drain() {
  atomic { end = TAKEN + LEAST(memory[OUT_TAIL] - TAKEN, CAPACITY) }
  do
  :: atomic {
      take_answer();
      if
      :: header == 0 -> break
      :: else -> drained = true
      fi
    }
    if
    :: MORE(header) && KIND(header) == VALUE -> publish()
    :: else
    fi;
    if
    :: end > TAKEN
    :: else -> break
    fi
  od;
  atomic { header = 0; end = 0 }
}

/* Writes a frame of the inbox, all whose places say `number`; those of a run count on from it. */
inline put(kind, more_follows, length, number, count_on) {
  gap = GAP(write, length);
  if
  :: gap != 0 -> inbox[AT(write)] = HEADER(PADDING, 0, gap - 1)
  :: else
  fi;
  write = write + gap;
  inbox[AT(write)] = HEADER(kind, more_follows, length);
  write++;
  step = 0;
  do
  :: step == length -> break
  :: else ->
    inbox[AT(write)] = number + (count_on -> step : 0);
    write++;
    step++
  od;
  step = 0;
  gap = 0
}

/* LargeMessage::pump(): one piece. */
inline pump() {
  refresh_head();
  piece = LEAST(outbound, QUARTER);
  piece = LEAST(piece, ROOM(write, head, piece));
  if
  :: piece != 0 ->
    outbound = outbound - piece;
    put(TASK, (outbound != 0 -> 1 : 0), piece, sent - 1, false);
    fed = true;
    PUSH_IF_NEW(told_tail, IN_TAIL, write)
  :: else
  fi
}

/* Slot::feed(): one frame of tasks. */
inline feed_frame() {
#ifdef RUNS
  if
  :: !FITS(write, head, 1) -> refresh_head()
  :: else
  fi;
  piece = LEAST(LEAST(window - queue, TASKS - sent), LEAST(ROOM(write, head, 1), RUN));
  if
  :: piece != 0 -> put(RUN_OF_TASKS, 0, piece, sent, true)
  :: else
  fi;
  sent = sent + piece;
  queue = queue + piece;
#else
  piece = ARGUMENT(sent);
  if
  :: piece > QUARTER -> outbound = piece
  :: else ->
    if
    :: !FITS(write, head, piece) -> refresh_head()
    :: else
    fi;
    if
    :: FITS(write, head, piece) -> put(TASK, 0, piece, sent, false)
    :: else -> piece = 0
    fi
  fi;
  if
  :: piece != 0 ->
    sent++;
    queue++
  :: else
  fi;
#endif
  fed = fed || piece != 0
}

inline feed() {
  atomic {
    window = WINDOW;
    if
    :: true
    :: MOODY -> window = 1
    fi;
    piece = 1;
    do
    :: piece != 0 && outbound != 0 -> pump()
    :: piece != 0 && outbound == 0 && queue < window && sent < TASKS -> feed_frame()
    :: else -> break
    od;
    window = 0;
    piece = 0
  }
}

/* Slot::has_got_on(); or look_at_all_, which is a matter of time. */
inline look_for_progress() {
  if
  :: MOODY -> news = true
  :: atomic {
      look_for_news();
      news = news || head >= half_way || queue <= 1 || inbound || outbound != 0
    }
  fi
}

inline serve() {
  look_for_progress();
  if
  :: news -> drain()
  :: else
  fi;
  feed();
  if
  :: drained || fed -> publish()
  :: else ->
    if
    :: news -> aim_bell()
    :: else
    fi
  fi;
  news = false
}

/* Slot::expect_answers(false) and Link::has_finished(), in this order. Nothing is taken back here,
 * so that it would do to look at `parked` once: see claim_revoke.pml. */
inline expect_answers() {
  if
  :: queue != 0 && outbound == 0 && memory[PARKED] ->
    atomic {
      refresh_head();
      more = head == write
    }
    assert(!more || memory[OUT_TAIL] != TAKEN);
    more = false
  :: else
  fi
}

inline arm_bells() {
  atomic {
    if
    :: true
    :: MOODY -> aim = memory[IN_HEAD] + 1; /* impatient_: aim_bell_at_next_step() */
      half_way = aim
    fi;
    C_PUSH(BELL_AT, aim)
  }
#ifdef NO_FENCE_BEFORE_COORDINATOR_SLEEPS
#elif defined(EQUAL_FENCES) || defined(NO_MEMBARRIER)
  C_FENCE;
#else
  C_FENCE && (queue <= 1 || empty(worker_stores));
#endif
#ifndef NO_SECOND_LOOK_OF_COORDINATOR
  atomic { look_for_news() }
#endif
}

inline sleep() {
  if
  :: atomic { bell || told -> bell = false }
  :: timeout ->
    /* Nobody moves any more. With one task out, the only news that counts is its end. */
    assert(endless && (queue <= 1 || memory[IN_HEAD] < aim));
    goto over
  fi
}

inline park() {
  expect_answers();
  arm_bells();
  if
  :: news -> REACHED(second_look_of_coordinator)
  :: else -> sleep()
  fi;
  atomic {
    news = false;
    C_PUSH(BELL_AT, NO_BELL)
  }
}

active proctype coordinator() {
  byte write = START, head = START, gap;                         /* RingWriter */
  byte read = START, tail = START, offset, length, step, header; /* RingReader */
  byte published = START, room_told = START;                     /* Link */
  byte told_tail = START, told_head = START, end;
  byte aim, half_way, ahead;
  byte sent, settled, queue, outbound, piece, window;            /* Slot */
  bool more, owes_wake, inbound, drained, fed, news;

  memory[IN_TAIL] = START;
  memory[OUT_HEAD] = START;
  memory[OUT_TAIL] = START;
  memory[IN_HEAD] = START;
  memory[BELL_AT] = NO_BELL;
  begin = true;
  do
  :: settled == TASKS -> break
  :: told -> /* note_death(): what was published is there */
    drain();
    assert(memory[OUT_TAIL] == TAKEN);
    REACHED(death);
    break
  :: else ->
    serve();
    if
    :: drained || fed -> atomic { drained = false; fed = false }
    :: else -> park()
    fi
  od;
over:
  skip
}
