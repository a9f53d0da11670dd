// SPDX-License-Identifier: MIT
//
// Failed tasks again, under a debugger. A pool with a directory for them (Options::replay_dir)
// leaves a file for each task that has failed. The same program runs it again, in its own process:
//
//   BULKHEAD_REPLAY=dir/7-12345.bulkhead gdb -ex 'catch throw' -ex run --args ./program arguments
//
// Where the variable is set, the first Pool that the program makes (or fork_map) runs the task
// instead, after the pool's initializer; says on standard error what came of it; and ends the
// program without destructors or atexit handlers, with exit code 0 if the task returned, 1 if it
// threw, 2 if the file cannot be used. A pool that the task makes is an ordinary one.
#pragma once

#include <string>

namespace bulkhead {

/// The same at a place of your own: runs the task of a file in the calling thread. What it returns
/// is encoded and dropped; what it throws comes out unchanged, and a crash is yours.
/// this_task::attempt() is what it was; there is no time limit. Throws SystemError if the file
/// cannot be read; InvalidArgument if it is damaged or none, or of another build of the program.
///
/// The file says which code is called with which bytes: replay only files of your own. A Broadcast
/// is gone with the process that made it, so tasks that take one throw DecodeError. Thread-safety:
/// any thread, at any time.
void replay(const std::string& file);

}  // namespace bulkhead
