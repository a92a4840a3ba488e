"""What all tests share."""

from __future__ import annotations

import signal

# a shell that starts the tests in the background ignores Ctrl-C for them, and Python then installs no handler: tests of
# interrupts would wait for ever
signal.signal(signal.SIGINT, signal.default_int_handler)
