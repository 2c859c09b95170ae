"""The whole tree of a server, read as super: every znode with data, ACL, children and stat."""
import wire


def ask(link, requests):
    """Sends [(name, fields)] in one write; the replies in their order."""
    link.take()
    out = b""
    for name, fields in requests:
        values = {field: default for field, _, default in wire.REQUESTS[name][1]}
        values.update(fields)
        xid = link.xid(name)
        link.expect(xid, name)
        out += wire.frame(wire.encode_request(xid, wire.REQUESTS[name][0], wire.encode_body(name, values)))
    link.send(out)
    link.settle()
    return [frame for frame in link.take() if frame["kind"] == "reply"]


def census(link, normal=None):
    """{path: what is there} of the whole tree; `normal` makes zxids, times and sessions comparable between servers."""
    tree, level = {}, ["/"]
    while level:
        data = ask(link, [("getData", {"path": path}) for path in level])
        acls = ask(link, [("getACL", {"path": path}) for path in level])
        children = ask(link, [("getChildren", {"path": path}) for path in level])
        below = []
        for path, *replies in zip(level, data, acls, children):
            tree[path] = node(replies, normal)
            names = replies[2].get("body", {}).get("children") or []
            below += [f"{path.rstrip('/')}/{name}" for name in sorted(names)]
        level = below
    return tree


def node(replies, normal):
    """One znode from the replies to getData, getACL and getChildren."""
    bodies = [reply.get("body", {"err": reply["err"]}) for reply in replies]
    if normal:
        bodies = [normal.body(body) for body in bodies]
    else:
        bodies[2] = {"children": sorted(bodies[2].get("children") or [])}
    return dict(zip(("data", "acl", "children"), bodies))
