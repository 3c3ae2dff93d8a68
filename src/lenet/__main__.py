"""`python -m lenet`."""

from lenet.cli.app import main

main()
