"""What the clients of all platforms share: requests that are sent, settings, streams of jobs, closing."""
