// Where this tab stands in one room: what it has received, what to ask for on coming back, what it has had already.
//
// A position rises only by what was received, never by what was promised: a replay that breaks in the middle goes on
// where it broke. Messages that come while a replay was asked for are passed over, because the replay has them too.

// Messages before the first one that is kept: what a room that is new to this tab is asked for.
const ALL_THAT_IS_KEPT = Object.freeze({ offset: 0 });

export class Place {
  // `history`: what is kept is wanted too, on the first join and wherever the rest of it is lost.
  constructor({ history = false } = {}) {
    this.history = history;
    this.all = history; // to be asked for from the beginning, whatever of it was here before
    this.epoch = null; // null where the room keeps no history, or nobody has said so yet
    this.offset = 0;
    this.settled = false; // whether the room was joined on this connection and no replay is under way
  }

  // For `join_room`; undefined where there is nothing to come back to.
  get since() {
    if (this.all) return ALL_THAT_IS_KEPT;
    return this.epoch === null ? undefined : { epoch: this.epoch, offset: this.offset };
  }

  // Before the rooms are joined on a new connection, or one of them again because something is missing.
  unsettle() {
    this.settled = false;
  }

  // What `room_joined` says to a join with this `since`. `lost`: something is gone for good. `again`: ask once more,
  // for what is left.
  joined({ epoch, offset, recovered }, since) {
    this.settled = true;
    if (epoch === undefined) {
      const kept = this.epoch !== null;
      this.epoch = null;
      this.all = this.history && kept;
      return { lost: kept, again: false };
    }
    if (since === undefined) {
      if (epoch !== this.epoch) this.#stand(epoch, offset);
      return { lost: false, again: false };
    }
    if (since === ALL_THAT_IS_KEPT || recovered) {
      // What is missing follows, and the position rises with it.
      if (epoch !== this.epoch) this.#stand(epoch, 0);
      this.all = since === ALL_THAT_IS_KEPT && offset > this.offset;
      return { lost: false, again: false };
    }
    if (!this.history) {
      this.#stand(epoch, offset);
      return { lost: true, again: false };
    }
    this.#stand(epoch, epoch === this.epoch ? Math.min(this.offset, offset) : 0);
    this.all = true;
    this.unsettle();
    return { lost: true, again: true };
  }

  // Whether a message is news.
  takes({ offset }) {
    if (!Number.isInteger(offset)) return true;
    if (!this.settled) return this.since === undefined;
    if (this.epoch === null) return true;
    if (offset <= this.offset) return false;
    this.offset = offset;
    this.all = false;
    return true;
  }

  // What `gap` says. `lost` and `again` as above: what a slow reader was not sent may still be there.
  missed({ epoch, after, upto }) {
    if (epoch === undefined) return { lost: true, again: false }; // the room keeps nothing
    const begunAnew = epoch !== this.epoch;
    if (this.since === undefined || !this.settled || (!begunAnew && upto <= this.offset)) {
      return { lost: false, again: false };
    }
    if (begunAnew) {
      this.#stand(epoch, 0);
      this.all = this.history;
    } else {
      this.offset = Math.max(this.offset, after);
    }
    this.unsettle();
    return { lost: begunAnew, again: true };
  }

  #stand(epoch, offset) {
    this.epoch = epoch;
    this.offset = offset;
    this.all = false;
  }
}
