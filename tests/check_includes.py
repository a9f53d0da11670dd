#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_includes.py ROOT: holds every #include of the three rooms against the laws of the house.

  serialization <- worker <- runtime: a room includes itself and those before it
  <bulkhead/...> is public, "room/..." internal; nothing is included by "../"
  public headers include the standard library; never Boost, spdlog or the kernel
  cereal only in the header for those who want it, so that it costs nobody else
  Boost only in worker/, spdlog only in runtime/, kernel headers only in worker/
  what belongs to another library only in the header for its users
"""
import pathlib
import re
import sys

# The public headers that need cereal, and those that may include them.
CEREAL_HEADERS = ["bulkhead/cereal.hpp", "bulkhead/detail/archive.hpp"]
CEREAL_USERS = [*CEREAL_HEADERS, "bulkhead/bulkhead.hpp"]
ORDER = ["serialization", "worker", "runtime"]
# Headers for users of a library, by the prefix of what that has.
COMPANIONS = {"bulkhead/asio.hpp": "boost/asio/"}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)
KERNEL = re.compile(r"^(sys/|linux/|unistd\.h|poll\.h|fcntl\.h|sched\.h|dirent\.h|signal\.h)")
# What a pure room or a deciding one may ask the C library: who it is, and the words for signals.
ALLOWED_KERNEL = {
    ("runtime", "unistd.h"), ("runtime", "sys/types.h"), ("runtime", "sys/wait.h"),
}


def room_of_public(root: pathlib.Path, name: str) -> str | None:
    for room in ORDER:
        if any((root / room).glob(f"**/include/{name}")):
            return room
    return None


def complaint(root: pathlib.Path, room: str, header: str, bracket: str, name: str) -> str | None:
    """What is wrong with the include of `name` in a file of `room`, whose public name is `header` if it has one."""
    public = bool(header)
    if name in CEREAL_HEADERS and header not in CEREAL_USERS:
        return "makes everybody include cereal"
    if name.startswith("bulkhead/"):
        owner = room_of_public(root, name)
        if bracket == '"':
            return "public headers are included with <>"
        if owner is None:
            return "no such public header"
        return "points upwards" if ORDER.index(owner) > ORDER.index(room) else None
    if bracket == '"':
        owner = name.split("/")[0]
        if owner not in ORDER or not (root / name).exists():
            return 'internal headers are included as "room/file.hpp"'
        if public:
            return "a public header includes an internal one"
        return "points upwards" if ORDER.index(owner) > ORDER.index(room) else None
    if header in COMPANIONS and name.startswith(COMPANIONS[header]):
        return None
    if name.startswith("boost/") and (public or room != "worker"):
        return "Boost belongs into worker/'s internal files"
    if name.startswith("spdlog/") and (public or room != "runtime"):
        return "spdlog belongs into runtime/'s sources"
    if name.startswith("cereal/") and header not in CEREAL_HEADERS:
        return "cereal belongs into " + " and ".join(CEREAL_HEADERS)
    if KERNEL.match(name) and (public or (room != "worker" and (room, name) not in ALLOWED_KERNEL)):
        return "only worker/ talks to the kernel"
    return None


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    failures = 0
    for room in ORDER:
        for path in sorted((root / room).rglob("*.[ch]pp")):
            parts = path.relative_to(root).parts
            header = "/".join(parts[parts.index("include") + 1:]) if "include" in parts else ""
            for bracket, name in INCLUDE.findall(path.read_text(encoding="utf-8")):
                why = complaint(root, room, header, bracket, name)
                if why:
                    failures += 1
                    print(f"{path.relative_to(root)}: {name}: {why}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
