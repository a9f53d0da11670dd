// SPDX-License-Identifier: MIT
//
// Everything but keyed jobs, which are in by_key.hpp, and what needs other libraries. Start reading
// at pool.hpp.
#pragma once

#include <bulkhead/broadcast.hpp>
#include <bulkhead/bytes.hpp>
#include <bulkhead/cereal.hpp>
#include <bulkhead/codec.hpp>
#include <bulkhead/error.hpp>
#include <bulkhead/failure.hpp>
#include <bulkhead/fork_map.hpp>
#include <bulkhead/hook.hpp>
#include <bulkhead/init.hpp>
#include <bulkhead/options.hpp>
#include <bulkhead/outcome.hpp>
#include <bulkhead/partial.hpp>
#include <bulkhead/pool.hpp>
#include <bulkhead/progress_bar.hpp>
#include <bulkhead/remote_error.hpp>
#include <bulkhead/replay.hpp>
#include <bulkhead/result_stream.hpp>
#include <bulkhead/shared.hpp>
#include <bulkhead/stats.hpp>
#include <bulkhead/this_task.hpp>
#include <bulkhead/this_worker.hpp>
#include <bulkhead/version.hpp>
#include <bulkhead/wait.hpp>
