// SPDX-License-Identifier: MIT
//
// The load test: what becomes of requests, and of the service, while its workers die. Exit code 0
// only if all requests but the doomed ones were answered as they should be, and the service has
// afterwards what it had before.
#include "contract.hpp"
#include "killer.hpp"
#include "process.hpp"
#include "traffic.hpp"
#include "weather.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

namespace {

/// Of calm and storm, in turns, so that both see the same machine.
constexpr int kRounds = 10;

struct Arguments {
  std::string program = LOAD_SERVICE;
  std::uint64_t requests = 5000;
  double rate = 400;
  double deaths = 10;
  int connections = 8;
  std::vector<std::string> options;
};

int failures = 0;

void require(bool holds, const std::string& otherwise) {
  if (holds) return;
  ++failures;
  std::printf("FAILED: %s\n", otherwise.c_str());
}

void require_answers(const char* phase, const load::Findings& found) {
  require(found.wrong == 0 && found.unanswered == 0,
          std::string(phase) + ": " + std::to_string(found.wrong) + " wrong answers, " +
              std::to_string(found.unanswered) + " missing; the first: " + found.first_trouble);
}

/// What there is when the dead have been replaced and connections closed; that takes a moment.
load::Footprint settled(pid_t service, const load::Footprint& as) {
  constexpr std::chrono::milliseconds kLookAgain(20);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  load::Footprint now = load::footprint(service);
  for (; !now.same_as(as) && std::chrono::steady_clock::now() < end;
       now = load::footprint(service)) {
    std::this_thread::sleep_for(kLookAgain);
  }
  return now;
}

void run(const Arguments& arguments) {
  for (const std::string& broken : load::check_contract(arguments.program)) require(false, broken);

  std::vector<load::Sample> samples;
  for (std::uint32_t seed = 0; seed < 50; ++seed) samples.push_back(load::make_sample(seed));
  load::ServiceProcess service(arguments.program, arguments.options);
  const load::Footprint fresh = load::footprint(service.pid());
  load::Plan plan{service.port(), arguments.connections, arguments.requests / 10, arguments.rate};
  plan.with_doomed = true;
  require_answers("warm-up", send(plan, samples));
  const load::Footprint before = settled(service.pid(), fresh);

  load::Weather calm;
  load::Weather storm;
  std::uint64_t killed = 0;
  std::uint64_t crashed = 0;
  double seconds = 0;
  plan.requests = arguments.requests / (2 * kRounds);
  for (int round = 0; round < kRounds; ++round) {
    plan.with_doomed = false;
    const load::Findings quiet = send(plan, samples);
    require_answers("calm", quiet);
    calm.add(quiet);
    plan.with_doomed = true;
    const load::Killer killer(service.pid(), arguments.deaths);
    const load::Findings found = send(plan, samples);
    require_answers("storm", found);
    storm.add(found);
    killed += killer.kills();
    crashed += found.doomed;
    seconds += found.took.count();
  }
  calm.report("calm");
  storm.report("storm");
  std::printf(
      "%llu workers killed, %llu crashed: %.1f deaths a second; p99 is %.1f times as long\n",
      static_cast<unsigned long long>(killed), static_cast<unsigned long long>(crashed),
      static_cast<double>(killed + crashed) / seconds, storm.p99() / calm.p99());

  const load::Footprint after = settled(service.pid(), before);
  std::printf("before   %s\nafter    %s\n", to_string(before).c_str(), to_string(after).c_str());
  require(after.same_as(before), "the service has not what it had before");
  require(after.resident_kib <= before.resident_kib + 16 * 1024, "the service has grown");

  // As fast as it goes; in the midst of it a SIGTERM.
  plan.per_second = 0;
  plan.requests = ~0ULL;
  plan.milestone = 500;
  plan.at_milestone = [&service] { service.ask_to_end(); };
  const load::Findings end = send(plan, samples);
  require_answers("end", end);
  std::printf("end      %llu answered\n", static_cast<unsigned long long>(end.answered));
  require(end.farewells == static_cast<std::uint64_t>(arguments.connections),
          "not all connections were closed after an answer");
  require(service.wait() == 0, "SIGTERM under load ends the service with another code than 0");
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app(
      "Starts the service, sends requests, kills its workers, and looks what becomes of it.");
  app.add_option("--service", arguments.program, "program")->check(CLI::ExistingFile);
  app.add_option("--requests", arguments.requests, "in all (the long form: 100000)")
      ->check(CLI::Range(100, 100'000'000));
  app.add_option("--rate", arguments.rate, "requests a second; 0: as fast as it goes");
  app.add_option("--deaths", arguments.deaths, "of workers a second")->check(CLI::PositiveNumber);
  app.add_option("--connections", arguments.connections)->check(CLI::Range(1, 1000));
  app.add_option("options", arguments.options, "of the service, after --");
  CLI11_PARSE(app, argc, argv);
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  try {
    run(arguments);
  } catch (const std::exception& error) {
    require(false, error.what());
  }
  std::puts(failures == 0 ? "All is well." : "NOT ALL IS WELL, see above.");
  return failures == 0 ? 0 : 1;
}
