"""What is known about a number before it is read: how many digits, which pattern, that it is an amount."""

from dataclasses import dataclass

from lenet.errors import PictureError

LONGEST = 64  # digits
PLACEHOLDER = "#"


@dataclass(frozen=True)
class Constraints:
    """`count` digits, or any number of them; `pattern` holds a # for each; an `amount` has no leading 0."""

    count: int | None = None
    pattern: str | None = None
    amount: bool = False

    def fill(self, digits: str) -> str:
        """The digits in the pattern's places; without a pattern as they are."""
        if self.pattern is None:
            return digits
        following = iter(digits)
        return "".join(next(following) if sign == PLACEHOLDER else sign for sign in self.pattern)


def check_constraints(length: int | None, pattern: str | None, amount: bool) -> Constraints:
    """What `length`, `pattern` and `amount` say together. Raises PictureError when they cannot be met."""
    if length is not None and not 1 <= length <= LONGEST:
        raise PictureError(f"length is {length}; it must be a number of digits from 1 to {LONGEST}")
    if pattern is None:
        return Constraints(length, None, amount)
    count = pattern.count(PLACEHOLDER)
    if not 1 <= count <= LONGEST:
        raise PictureError(f"pattern {pattern!r} has {count} digits; write each as #, like #####-####")
    if any(sign.isdigit() or not sign.isprintable() for sign in pattern):
        raise PictureError(f"pattern {pattern!r} may hold # and signs between, like #####-####")
    if length is not None and length != count:
        raise PictureError(f"length is {length}, but pattern {pattern!r} has {count} digits; give one")
    if amount:
        raise PictureError("an amount has no pattern; give amount or pattern")
    return Constraints(count, pattern)
