#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# Perl's MCE::Map, with its automatic chunks or with chunks of one, on some of the workloads of
# workloads.hpp.
#
#   mce_peer.pl WORKLOAD PEER SIZE WORKERS PARAMETER

use strict;
use warnings;

use MCE::Map;
use Time::HiRes qw(time clock_gettime CLOCK_MONOTONIC);

my $CPU_TASK_NANOSECONDS = 20_000_000;

sub increment { return $_[0] + 1 }

# Spins until so many nanoseconds have passed, and adds 1.
sub busy {
  my ($nanoseconds) = @_;
  my $end = clock_gettime(CLOCK_MONOTONIC) + $nanoseconds / 1e9;
  if ($nanoseconds > 0) { 1 while clock_gettime(CLOCK_MONOTONIC) < $end }
  return $nanoseconds + 1;
}

sub work {
  use integer;    # modulo 2**64
  my ($steps, $x) = @_;
  $x = $x * 6364136223846793005 + 1442695040888963407 for 1 .. $steps;
  return $x;
}

# The steps of work() that take so long when nothing disturbs them; at least 1.
sub steps_for {
  my ($nanoseconds) = @_;
  my ($steps, $best) = (100_000, 1e99);
  for (1 .. 9) {
    my $taken = timed(sub { work($steps, 1) });
    $best = $taken if $taken < $best;
  }
  my $wanted = int($nanoseconds / 1e9 * $steps / $best);
  return $wanted > 1 ? $wanted : 1;
}

sub timed {
  my ($action) = @_;
  my $start = clock_gettime(CLOCK_MONOTONIC);
  $action->();
  return clock_gettime(CLOCK_MONOTONIC) - $start;
}

sub check {
  my ($expected, $results) = @_;
  die "wrong number of results\n" unless @$expected == @$results;
  $expected->[$_] == $results->[$_] or die "wrong result at index $_\n" for 0 .. $#$expected;
  return;
}

# Seconds that a map of $function over @$inputs takes, after a warm-up.
sub time_map {
  my ($function, $inputs, $expected) = @_;
  my @results = mce_map { $function->($_) } @$inputs;
  check($expected, \@results);
  my $taken = timed(sub { @results = mce_map { $function->($_) } @$inputs });
  check($expected, \@results);
  return $taken;
}

# Seconds of a plain loop, run before and after, and of a map over equal tasks.
sub against_serial {
  my ($size, $nanoseconds) = @_;
  my $steps    = steps_for($nanoseconds);
  my $function = sub { work($steps, $_[0]) };
  my @seeds    = 1 .. $size;
  my @expected;
  my $loop     = sub { @expected = map { $function->($_) } @seeds };
  my $before   = timed($loop);
  my $parallel = time_map($function, \@seeds, \@expected);
  return (($before + timed($loop)) / 2, $parallel);
}

sub report {
  my ($value, $unit, $more) = @_;
  printf qq({"value": %.9g, "unit": "%s"%s}\n), $value, $unit, $more // '';
  return;
}

die "usage: mce_peer.pl WORKLOAD PEER SIZE WORKERS PARAMETER\n" unless @ARGV == 5;
my ($workload, $peer, $size, $workers, $parameter) = @ARGV;
alarm 110;
MCE::Map->init(max_workers => $workers, chunk_size => $peer =~ /chunk_size=1/ ? 1 : 'auto');

if ($workload eq 'noop') {
  my @inputs   = 0 .. $size - 1;
  my @expected = 1 .. $size;
  report($size / time_map(\&increment, \@inputs, \@expected), 'tasks/s');
} elsif ($workload eq 'cpu') {
  my ($serial, $parallel) = against_serial($size, $CPU_TASK_NANOSECONDS);
  report($serial / $parallel / $workers, 'efficiency');
} elsif ($workload eq 'duration') {
  my ($serial, $parallel) = against_serial($size, $parameter);
  report($size / $parallel, 'tasks/s', sprintf ', "speedup": %.9g', $serial / $parallel);
} elsif ($workload eq 'uneven') {
  my @durations = split ' ', do { local $/; <STDIN> };
  die "too few durations on standard input\n" if @durations < $size;
  my @inputs   = ((0) x $parameter, @durations[0 .. $size - 1]);
  my @expected = map { $_ + 1 } @inputs;
  report(time_map(\&busy, \@inputs, \@expected) * 1e3, 'ms');
} else {
  die "unknown workload $workload\n";
}
MCE::Map->finish;
