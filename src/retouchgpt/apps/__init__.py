"""Front ends: each builds a request, shows a result."""
