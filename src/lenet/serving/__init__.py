"""The HTTP server: the page, and an API that reads pictures."""
