"""``python -m opus_async`` is ``opus-async``."""

import sys

from opus_async.cli import main

if __name__ == "__main__":
    sys.exit(main())
