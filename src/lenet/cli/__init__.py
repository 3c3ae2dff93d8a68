"""The command line: parse, call one function, print what it returned. One file for verbs of a kind."""
