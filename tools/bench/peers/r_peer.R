# SPDX-License-Identifier: MIT
# R's parallel::mclapply, prescheduled (its default: each worker gets its share at once) or not (a
# process forked for each element), on some of the workloads of workloads.hpp.
#
#   Rscript r_peer.R WORKLOAD PEER SIZE WORKERS PARAMETER

suppressPackageStartupMessages(library(parallel))

cpu_task_nanoseconds <- 20e6

increment <- function(x) x + 1

# Spins until so many nanoseconds have passed, and adds 1.
busy <- function(nanoseconds) {
  if (nanoseconds > 0) {
    end <- as.numeric(Sys.time()) + nanoseconds / 1e9
    while (as.numeric(Sys.time()) < end) {}
  }
  nanoseconds + 1
}

# R has no 64-bit integers, so this is another generator than in C++.
work <- function(steps, x) {
  for (i in seq_len(steps)) x <- (x * 16807) %% 2147483647
  x
}

# Seconds that `action` takes, which is evaluated here.
timed <- function(action) {
  start <- as.numeric(Sys.time())
  force(action)
  as.numeric(Sys.time()) - start
}

# The steps of work() that take so long when nothing disturbs them; at least 1.
steps_for <- function(nanoseconds) {
  steps <- 100000
  best <- min(replicate(9, timed(work(steps, 1))))
  max(floor(nanoseconds / 1e9 * steps / best), 1)
}

check <- function(expected, results) {
  if (!identical(as.numeric(unlist(results)), as.numeric(expected))) stop("wrong results")
}

# Seconds that a map takes, after a warm-up.
time_map <- function(map, f, inputs, expected) {
  check(expected, map(inputs, f))
  taken <- timed(results <- map(inputs, f))
  check(expected, results)
  taken
}

# Seconds of a plain loop, run before and after, and of a map over equal tasks.
against_serial <- function(map, size, nanoseconds) {
  steps <- steps_for(nanoseconds)
  f <- function(x) work(steps, x)
  seeds <- as.list(seq_len(size))
  before <- timed(expected <- lapply(seeds, f))
  parallel <- time_map(map, f, seeds, unlist(expected))
  after <- timed(lapply(seeds, f))
  c(serial = (before + after) / 2, parallel = parallel)
}

report <- function(value, unit, more = "") {
  cat(sprintf("{\"value\": %.9g, \"unit\": \"%s\"%s}\n", value, unit, more))
}

arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) != 5) stop("usage: r_peer.R WORKLOAD PEER SIZE WORKERS PARAMETER")
workload <- arguments[1]
prescheduled <- !grepl("mc.preschedule=FALSE", arguments[2])
size <- as.integer(arguments[3])
workers <- as.integer(arguments[4])
parameter <- as.numeric(arguments[5])

map <- function(inputs, f) {
  mclapply(inputs, f, mc.cores = workers, mc.preschedule = prescheduled)
}

if (workload == "noop") {
  inputs <- as.list(seq_len(size) - 1)
  report(size / time_map(map, increment, inputs, seq_len(size)), "tasks/s")
} else if (workload == "cpu") {
  times <- against_serial(map, size, cpu_task_nanoseconds)
  report(times[["serial"]] / times[["parallel"]] / workers, "efficiency")
} else if (workload == "duration") {
  times <- against_serial(map, size, parameter)
  report(size / times[["parallel"]], "tasks/s",
         sprintf(", \"speedup\": %.9g", times[["serial"]] / times[["parallel"]]))
} else if (workload == "uneven") {
  durations <- scan(file("stdin"), quiet = TRUE)
  if (length(durations) < size) stop("too few durations on standard input")
  inputs <- c(rep(0, parameter), durations[seq_len(size)])
  report(time_map(map, busy, as.list(inputs), inputs + 1) * 1e3, "ms")
} else {
  stop("unknown workload ", workload)
}
