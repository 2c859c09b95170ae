"""Reduces the answers of four-letter words to what two right servers must share: keys, layout, and the values that are not measured."""
import re

NUMBER = re.compile(r"-?\d+(\.\d+)?")
HEX = re.compile(r"0x[0-9a-f]+")
KEYS_ONLY = {"mntr": "\t", "envi": "="}
OF_THIS_MACHINE = ("dataDir=", "dataDirSize=", "dataLogDir=", "dataLogSize=", "clientPort=")
SETS_OF_LINES = ("wchc", "wchp")
# One line per connection: how many there are depends on when closed ones are forgotten.
KINDS_OF_LINES = ("cons", "dump", "stat")
# Connections that are on their way out may or may not be listed still.
ENDING = re.compile(r"ip: .*sessionId: NxN|,lop=CLOS,")
# What Paddock measures and Java does not have.
OUR_OWN = "zk_paddock_"
EXACT = ("ruok", "isro", "gtmk", "srst", "crst")


def with_sessions(text, sessions):
    """Session ids as the names that the script gave them."""
    return HEX.sub(lambda match: sessions.get(int(match[0], 16), match[0]), text)


def conf_line(line):
    return line.split("=", 1)[0] + "=…" if line.startswith(OF_THIS_MACHINE) else line


def status_line(line, exact):
    """A line of srvr or stat; exact keeps the figures that follow from the requests alone."""
    if line.startswith("Zookeeper version:"):
        return "Zookeeper version: …"
    if exact and line.startswith(("Node count:", "Zxid:", "Connections:", "Mode:")):
        return line
    return NUMBER.sub("N", HEX.sub("0xN", line))


def shape(word, text, sessions, exact=False):
    """The comparable lines of the answer to `word`."""
    lines = text.split("\n")
    if word in KEYS_ONLY:
        keys = {line.split(KEYS_ONLY[word], 1)[0] for line in lines}
        return sorted(key for key in keys if not key.startswith(OUR_OWN))
    if word in EXACT:
        return lines
    if word == "conf":
        return [conf_line(line) for line in lines]
    if word == "srvr":
        return [status_line(line, exact) for line in lines]
    if word == "wchs":
        return lines
    lines = [status_line(line, exact) for line in with_sessions(text, sessions).split("\n")]
    if word in KINDS_OF_LINES:
        return sorted({line for line in lines if not ENDING.search(line)})
    return sorted(lines) if word in SETS_OF_LINES else lines
