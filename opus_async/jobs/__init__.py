"""One job and many, said without any platform's words: lifecycle, start, status polling, stream, shutdown."""
