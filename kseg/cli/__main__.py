"""`python -m kseg.cli`."""

import sys

from kseg.cli import main

sys.exit(main())
