"""What joins the library to other frameworks; nothing else in the library imports it."""
