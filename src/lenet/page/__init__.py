"""The page: draw a digit and see every layer; its HTML, CSS and JavaScript, and the bundle of them."""
