"""Damage: what a wire, a disk, a hurried programmer or an enemy does to a file."""

import io
import json
import re
import zipfile
import zlib

import numpy as np

_NUMBERS = (0, 1, -1, 2, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1,
            2**63 - 1, 2**64)
_TEXTS = ("", " ", "../../etc/passwd", "/etc/passwd", "nul\0l", "\ud7ff", "\u202e", "<script>alert(1)</script>",
          "1e999", "NaN", "-0", "é" * 300, "%s%n", "{{7*7}}", "a" * 70_000)


def damaged(content, others, random):
    """Return `content` (bytes) after one to four injuries; `others` are further seeds to take pieces from."""
    for _ in range(int(random.integers(1, 5))):
        content = _BYTES[int(random.integers(len(_BYTES)))](content, others, random)
    return content


def damaged_picture(content, others, random):
    """As `damaged`, but the parts of most PNGs have their right checksums, so that damage gets beyond these."""
    content = damaged(content, others, random)
    if not content.startswith(b"\x89PNG") or random.random() < 0.3:
        return content
    place, whole = 8, content[:8]
    while place + 12 <= len(content):
        end = place + 8 + int.from_bytes(content[place:place + 4], "big")
        if end + 4 > len(content):
            break
        whole += content[place:end] + zlib.crc32(content[place + 4:end]).to_bytes(4, "big")
        place = end + 4
    return whole + content[place:]


def damaged_json(content, others, random):
    """As `damaged`, but most injuries are to the values of a JSON document rather than to its bytes."""
    if random.random() < 0.25:
        return damaged(content, others, random)
    try:
        document = json.loads(content)
    except ValueError:
        return damaged(content, others, random)
    for _ in range(int(random.integers(1, 4))):
        places = list(_places(document))
        if not places:
            break
        holder, key = places[int(random.integers(len(places)))]
        _injure(holder, key, random)
    return json.dumps(document).encode("utf-8", "surrogatepass")


def damaged_archive(content, others, random):
    """As `damaged`, but most injuries are to what a ZIP archive holds; its checksums and its directory stay right."""
    members = _members(content)
    if not members or random.random() < 0.2:
        return damaged(content, others, random)
    names = list(members)
    for _ in range(int(random.integers(1, 3))):
        name = names[int(random.integers(len(names)))]
        donors = [held[name] for held in map(_members, others) if held and name in held] or [members[name]]
        choice = int(random.integers(10))
        if choice == 0:
            members[name] = donors[int(random.integers(len(donors)))]
        elif choice == 1:
            members[f"{name}{_TEXTS[int(random.integers(8))]}"] = members[name]
            members[name] = b""
        else:
            members[name] = (damaged_json if name.endswith(".json") else damaged)(members[name], donors, random)
    file = io.BytesIO()
    start = content.find(b"PK\x03\x04")  # what an archive stands behind stays
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if random.random() < 0.2 else zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content[:start] + file.getvalue()


def _members(content):
    """Return what the members of a ZIP archive hold, by name; None if it is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    except Exception:  # damaged already
        return None


def damaged_text(content, others, random):
    """As `damaged`, but most injuries are to the words of a text (XML, YAML, lists) rather than to its bytes."""
    if random.random() < 0.25:
        return damaged(content, others, random)
    text = content.decode("utf-8", "surrogateescape")
    for _ in range(int(random.integers(1, 4))):
        words = list(_WORD.finditer(text))
        if not words:
            break
        word = words[int(random.integers(len(words)))]
        text = text[:word.start()] + _other_word(word[0], words, random) + text[word.end():]
    return text.encode("utf-8", "surrogatepass" if "\ud7ff" < max(text, default="") < "\udc80" else "surrogateescape")


def damaged_file(content, others, random):
    """As `damaged`, of inputs that are the name of a file, a line feed and its bytes: the damage befits the name."""
    name, _, content = content.partition(b"\n")
    how = next((how for ending, how in _BY_ENDING.items() if name.endswith(ending)), damaged)
    return name + b"\n" + how(content, [other.partition(b"\n")[2] for other in others], random)


def _flip(content, others, random):
    if not content:
        return content
    changed = bytearray(content)
    for place in random.integers(0, len(changed), int(random.integers(1, 9))):
        changed[place] ^= 1 << int(random.integers(8))
    return bytes(changed)


def _overwrite(content, others, random):
    start, end = _span(content, random)
    return content[:start] + random.bytes(end - start) + content[end:]


def _cut(content, others, random):
    start, end = _span(content, random)
    return content[:start] + content[end:]


def _truncate(content, others, random):
    return content[:int(random.integers(0, len(content) + 1))]


def _repeat(content, others, random):
    start, end = _span(content, random)
    return content[:end] + content[start:end] * int(random.integers(1, 9)) + content[end:]


def _transplant(content, others, random):
    other = others[int(random.integers(len(others)))]
    start, end = _span(other, random)
    place = int(random.integers(0, len(content) + 1))
    return content[:place] + other[start:end] + content[place + (end - start) * int(random.integers(2)):]


def _number(content, others, random):
    if len(content) < 8:
        return content
    size, order = int(random.choice((1, 2, 4, 8))), str(random.choice(("little", "big")))
    value = _NUMBERS[int(random.integers(len(_NUMBERS)))] % (1 << (8 * size))
    early = random.random() < 0.7  # headers stand at the beginning
    place = int(random.integers(0, min(len(content), 512) - size + 1 if early and len(content) > 512
                                else len(content) - size + 1))
    return content[:place] + value.to_bytes(size, order) + content[place + size:]


_BYTES = (_flip, _flip, _overwrite, _cut, _truncate, _repeat, _transplant, _number, _number)


_WORD = re.compile(r"[^\s,;:=\"'<>/\[\]{}]+")
_BY_ENDING = {b".json": damaged_json, **dict.fromkeys((b".xml", b".txt", b".yaml"), damaged_text)}


def _span(content, random):
    length = int(min(len(content), 2 ** random.integers(0, 12)))
    start = int(random.integers(0, len(content) - length + 1))
    return start, start + length


def _other_word(word, words, random):
    choice = int(random.integers(8))
    if choice == 0:
        return ""
    if choice == 1:
        return str(_NUMBERS[int(random.integers(len(_NUMBERS)))])
    if choice == 2:
        return _TEXTS[int(random.integers(len(_TEXTS)))]
    if choice == 3:
        return f"-{word}"
    if choice == 4:
        return " ".join([word] * int(random.integers(2, 50)))
    if choice == 5:
        return repr(float(random.normal()) * 10.0 ** int(random.integers(-6, 12)))
    if choice == 6:
        return words[int(random.integers(len(words)))][0]
    return word + str(random.choice(list("<>&\"';:,= \n\t#[]{}!*@`\x00")))


def _places(document):
    """Yield `(holder, key)` of every value below `document`."""
    waiting = [document]
    while waiting:
        holder = waiting.pop()
        for key in list(holder if isinstance(holder, dict) else range(len(holder))):
            yield holder, key
            if isinstance(holder[key], (dict, list)):
                waiting.append(holder[key])


def _injure(holder, key, random):
    choice = int(random.integers(7))
    if choice == 0:
        del holder[key]
    elif choice == 1:
        holder[key] = _NUMBERS[int(random.integers(len(_NUMBERS)))]
    elif choice == 2:
        holder[key] = _TEXTS[int(random.integers(len(_TEXTS)))]
    elif choice == 3:
        holder[key] = (None, True, [], {}, 1e308, -0.5, float("nan"))[int(random.integers(7))]
    elif choice == 4:
        holder[key] = [holder[key]] * int(random.integers(2, 50))
    elif choice == 5 and isinstance(holder[key], (int, float)):
        holder[key] = holder[key] * float(random.choice((-1, 0.5, 1e6, 1e-6))) + float(random.normal())
    elif isinstance(holder, dict):
        holder[str(_TEXTS[int(random.integers(len(_TEXTS)))])] = holder.pop(key)
    else:
        holder.insert(int(random.integers(len(holder) + 1)), np.float64(random.normal()).item())
