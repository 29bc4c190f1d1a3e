// What comes late to a place, a room or one's own inbox: the messages up to the offset that was its top at the join.

// The line that says so in a conversation. It is put there once, and its words grow with what comes.
class LateLine {
  constructor() {
    this.at = Date.now();
    this.again = false; // after a reconnect, which is worth a word even where nothing was missed
    this.kept = true;
    this.lost = false;
    this.missed = 0;
  }

  get notice() {
    const count = this.missed === 1 ? "1 message" : `${this.missed} messages`;
    const words = this.again ? ["Connected again."] : [];
    if (!this.kept) words.push("What was said in between did not reach this tab.");
    else if (this.lost) words.push("Some messages could not be recovered.", this.missed ? `The last ${count}:` : "");
    else if (this.missed) words.push(`${count} while you were away.`);
    return words.join(" ").trim();
  }
}

export class Late {
  constructor() {
    this.places = new Map(); // name → {upto, first, back, lines: conversation → LateLine}
  }

  // `offset`: of `room_joined`. True where the place is new, and all that is kept comes.
  joined(name, offset = 0) {
    const place = this.places.get(name);
    this.places.set(name, { back: false, lines: new Map(), ...place, upto: offset, first: !place });
    return !place;
  }

  forget(name) {
    this.places.delete(name);
  }

  // Another connection: what was said of the last one's messages is said.
  startOver() {
    for (const place of this.places.values()) {
      place.back = true;
      place.lines.clear();
    }
  }

  // The line of this conversation, changed by `change(line)`, and whether it has to be put there.
  line(name, conversation, change) {
    const { lines } = this.places.get(name);
    const added = !lines.has(conversation);
    if (added) lines.set(conversation, new LateLine());
    const line = lines.get(conversation);
    change(line);
    return { line, added };
  }

  // "old": kept from before this tab was here; "missed": sent while it was away, or what is left after a loss; "filled":
  // a gap that nobody saw; "live".
  when(name, conversation, offset) {
    const place = this.places.get(name);
    if (!place) return "live";
    if (offset <= place.upto) {
      if (place.first) return "old";
      return place.back || place.lines.has(conversation) ? "missed" : "filled";
    }
    place.back = false;
    place.lines.clear();
    return "live";
  }
}
