"""`python -m lenet`."""

from lenet.cli.main import main

main()
