"""Tests of the runner itself: it must see every difference, and complain about chosen ones that are none any more."""
import json
import pathlib
import tempfile
import unittest

import compare
import coverage
import dice
import normal
import script
import sequences


def record(**fields):
    return [{"source": "a.exists('/')", "frames": {"a": [{"kind": "reply", "err": 0, **fields}]}}]


class Comparing(unittest.TestCase):
    def chosen(self, *entries):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "differences.json"
            file.write_text(json.dumps({"differences": entries}))
            return compare.Chosen(True, file)

    def test_every_field_counts(self):
        found = compare.different(record(zxid="+1"), record(zxid="+2"))
        self.assertEqual([(item.field, item.left, item.right) for item in found], [("step1.a.0.zxid", "+1", "+2")])
        self.assertEqual(len(compare.different(record(), [])), 3)
        self.assertEqual(compare.different(record(), record()), [])
        self.assertTrue(compare.different(record(data=None), record(data="")))

    def test_a_chosen_difference_is_excused_only_where_it_was_chosen(self):
        chosen = self.chosen({"case": "x.*", "reason": "why", "fields": ["*.zxid"]})
        found = compare.different(record(zxid=1, xid=1), record(zxid=2, xid=2))
        self.assertEqual([item.field for item in chosen.remaining("x.1", found)], ["step1.a.0.xid"])
        self.assertEqual(len(chosen.remaining("y.1", found)), 2)
        self.assertEqual(chosen.stale(), [])

    def test_a_chosen_difference_that_agrees_is_stale(self):
        chosen = self.chosen({"case": "x", "reason": "why"}, {"case": "x", "reason": "timing", "sometimes": True})
        self.assertEqual(chosen.remaining("x", []), [])
        self.assertEqual(len(chosen.stale()), 1)
        self.assertIn("why", chosen.stale()[0])

    def test_a_chosen_difference_needs_a_reason(self):
        with self.assertRaises(ValueError):
            self.chosen({"case": "x"})

    def test_servers_of_one_kind_may_agree(self):
        chosen = compare.Chosen(False)
        chosen.remaining(chosen.entries[0]["case"], [])
        self.assertEqual(chosen.stale(), [])


class Normalising(unittest.TestCase):
    def test_zxids_count_from_the_base(self):
        relative = normal.Normal(100)
        self.assertEqual([relative.zxid(value) for value in (103, 99, 0, -1)], ["+3", "before", 0, -1])

    def test_events_keep_their_order_unless_a_session_closed(self):
        def event(path):
            return {"kind": "event", "zxid": 5, "err": 0, "type": 2, "path": path}

        strict, loose = normal.Normal(0), normal.Normal(0)
        loose.note_closes([{"kind": "reply", "op": "closeSession", "zxid": 5}])
        self.assertEqual([frame["path"] for frame in strict.frames([event("b"), event("a")])], ["b", "a"])
        self.assertEqual([frame["path"] for frame in loose.frames([event("b"), event("a")])], ["a", "b"])


class Rolling(unittest.TestCase):
    def test_a_script_follows_from_its_seed(self):
        self.assertEqual(sequences.lines_of(7, 300), sequences.lines_of(7, 300))
        self.assertNotEqual(sequences.lines_of(7, 300), sequences.lines_of(9, 300))

    def test_all_lines_are_steps_and_all_requests_occur(self):
        lines = [line for seed in range(8) for line in sequences.lines_of(seed, 2500)]
        self.assertTrue(all(script.parse_step(line, {}) for line in lines))
        text = "\n".join(lines)
        absent = {name for name in script.wire.REQUESTS if f"{name}(" not in text}
        self.assertEqual(absent, {"createSession"}, "createSession differs by choice")

    def test_nothing_ends_the_java_server(self):
        text = "\n".join(line for seed in range(8) for line in sequences.lines_of(seed, 2500))
        self.assertNotRegex(text, r"\.(pipeline\(.*)?createTTL\([^)]*flags=[0-4], ttl=-[^)]*\)$")
        self.assertEqual(dice.digest_id("super:test"), "super:D/InIHSb7yEEbrWz8b9l71RjZJU=")


class Covering(unittest.TestCase):
    def test_what_is_missing_is_told(self):
        names = [case.name for case in script.load()]
        seen = coverage.Seen()
        seen.note(record(op="exists"))
        without = [name for name in names if not name.startswith("50-quota.")]
        more = set(coverage.gaps(without, seen)) - set(coverage.gaps(names, seen))
        self.assertTrue(more and all("50-quota" in text for text in more), more)
        self.assertIn("no error -101 in any case", coverage.gaps(names, seen))
        self.assertIn("only 1 cases; there must be 400", coverage.gaps(names[:1], seen))


if __name__ == "__main__":
    unittest.main()
