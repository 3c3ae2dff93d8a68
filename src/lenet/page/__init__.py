"""The page: draw a digit and see every layer; HTML, CSS and JavaScript, and the bundle that makes one file."""
