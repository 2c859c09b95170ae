"""The attacks by name. Each is a function that takes a server and gives in some words what became of it; what it must not do is
checked by whoever runs it.
"""
LONG = False
ALL = []


def attack(bound, long_bound=None, others=3.0, settings=None):
    """Registers an attack: the MiB of resident memory that Paddock may have at its peak (`long_bound` in the long form), the seconds that a
    request of others may take at the longest, lines of zoo.cfg for both servers.
    """
    def register(function):
        function.bound, function.long_bound, function.others, function.settings = bound, long_bound or bound, others, settings or {}
        ALL.append(function)
        return function
    return register


def pick(short, long):
    """The size of an attack: in the gate, and in `make hostile`."""
    return long if LONG else short


def tally(outcomes):
    """"3 closed, 2 answered -5"."""
    kinds = sorted(set(outcomes))
    return ", ".join(f"{outcomes.count(kind)} {kind}" for kind in kinds)
