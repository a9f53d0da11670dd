# SPDX-License-Identifier: MIT
"""What tools/bench/run is made of. Start reading at table.py."""
