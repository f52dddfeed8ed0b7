"""doctor"""


def configure(p):
    pass
