"""How the progress of many jobs is shown: on a terminal, in a notebook, as plain lines.

Reads what ``metrics`` counts. The command line uses it, and ``progress=True`` of the library.

``display``
    the displays, and which of them suits stderr
``live``
    the one that redraws itself, with rich
``notebook``
    the one for notebooks
``progress_text``
    how jobs stand, in words
``shown``
    shows progress while something runs
"""
