// SPDX-License-Identifier: MIT
//
// For programs with threads, or with much memory: prepares, first thing in main, what pools that
// are made later start their workers from.
//
//   int main(int argc, char** argv) {
//     bulkhead::init();
//     ...                                   // threads, gigabytes, whatever
//     bulkhead::Pool pool;                  // in any thread
#pragma once

#include <bulkhead/options.hpp>

namespace bulkhead {

/// Forks a server, from whose snapshot of this process workers are forked
/// (StartMethod::forkserver); it ends with this process. In a program that was started anew for
/// StartMethod::spawn, does not return. From now on pools start by `method` unless Options::start
/// says otherwise.
///
/// To be called before threads are started: throws Error if there are others. Throws SystemError if
/// the system refuses the server. Again: only the method counts, unless the server has been killed;
/// then there is a new one. In a fork of this process it must be called anew, before pools there
/// can start by forkserver or spawn. Thread-safety: any thread.
void init(StartMethod method = StartMethod::forkserver);

}  // namespace bulkhead
