"""Documents in object stores and on servers. Only this package imports fsspec, and only once a URL is met."""
