/* Who waits is served, once (design §1, §4, §6).
 *
 * Two waiting requests, one unit, its agent, a Redis that may forget everything once, and messages and scripts' answers
 * that get lost. At any moment the faults may cease; then a few rounds of heartbeats, in order, must leave every request
 * answered or given up and nothing behind. Offers go only to a unit whose agent has spoken since anything was in doubt.
 */
#define LEASES 2  /* one at a time a ticket */
#include "pool.h"
#define UNSENT 12
#define ASKED 13
#define ASKING 14  /* the answer of its ask is lost */
#define DONE 15

#ifndef ROUNDS
#define ROUNDS 8
#endif

/* Redis. */
byte ticket[TICKETS];        /* NONE, QUEUED, OFFERED, HELD */
byte unit = UNHEARD;
bool mark[TICKETS];
/* The agent, and whether it has spoken since the record of its unit was last in doubt. */
byte own = NOBODY;
bool hasSpoken;
/* The coordinators. */
byte waiter[TICKETS];        /* UNSENT, ASKING, ASKED, DONE */
bool owesCancel[TICKETS];
/* On their way. */
bool offer[TICKETS], makesRoom[TICKETS], ending[TICKETS], granted[TICKETS];
bool hasFailed, hasHealed;

inline makeOffer(T, ROOM) {
  assert(hasSpoken);  /* no unit is offered before its agent has spoken */
  ticket[T] = OFFERED; unit = TAKEN; offer[T] = true; makesRoom[T] = ROOM
}
inline settle(ROOM) {
  if
  :: ticket[0] == QUEUED -> makeOffer(0, ROOM)
  :: ticket[0] != QUEUED && ticket[1] == QUEUED -> makeOffer(1, ROOM)
  :: else -> unit = FREE
  fi
}
inline doubt() { unit = UNHEARD; hasSpoken = false }
inline requeue(T) { ticket[T] = QUEUED; offer[T] = false }

/* Ask.lua, also again; what its answer says is acted on where that arrives. */
inline ask(T) {
  if
  :: ticket[T] == NONE ->
       if
#ifdef OFFERS_UNHEARD
       :: unit == FREE || unit == UNHEARD -> makeOffer(T, false)
#else
       :: unit == FREE -> makeOffer(T, false)
#endif
       :: else -> ticket[T] = QUEUED
       fi
  :: else
  fi
}
inline answer(T) {
  assert(waiter[T] != DONE);  /* each request has one answer */
  waiter[T] = DONE; believes[T] = true
}
inline answerAgain(T) { if :: own == T -> answer(T) :: else fi }
/* A slice of waiting tickets in a coordinator's heartbeat, and what it owes. */
inline beat(T) {
  if
  :: owesCancel[T] -> cancelled(T)
  :: waiter[T] == UNSENT || waiter[T] == ASKING -> ask(T); waiter[T] = ASKED
#ifndef FORGETS_LOST_TICKETS
  :: waiter[T] == ASKED && ticket[T] == NONE -> ask(T)
#endif
#ifndef NO_NEWS_OF_HELD
  :: waiter[T] == ASKED && ticket[T] == HELD -> answerAgain(T)
#endif
  :: else
  fi
}
inline cancelled(T) {
  owesCancel[T] = false;
  if
  :: ticket[T] == QUEUED -> ticket[T] = NONE
  :: ticket[T] == OFFERED -> ticket[T] = NONE; offer[T] = false; settle(false)
  :: ticket[T] == HELD -> giveBack(T)
  :: else
  fi
}
inline leaveMark(T) {
#ifdef NO_MARKS
  skip
#else
  mark[T] = true
#endif
}
inline giveBack(T) {
  leaveMark(T);
  ticket[T] = NONE; ending[T] = true;
  settle(true)
}
inline consider(T) {
  offer[T] = false;
  if
  :: own == NOBODY || (own != T && makesRoom[T]) -> own = T; ending[T] = false; mark[T] = false;
       if :: ticket[T] == OFFERED -> ticket[T] = HELD; granted[T] = true :: else -> own = NOBODY fi
  :: else -> if :: ticket[T] == OFFERED -> requeue(T); doubt() :: else fi
  fi;
  makesRoom[T] = false
}
inline grantHeard(T) {
  granted[T] = false;
  if
  :: waiter[T] != DONE -> answer(T)
  :: waiter[T] == DONE && !believes[T] && ticket[T] == HELD -> owesCancel[T] = true
  :: else
  fi
}
inline lapse(T) { requeue(T); doubt() }
inline heartbeat() {
  hasSpoken = true;
  if
  :: own == NOBODY ->
       if
       :: ticket[0] == OFFERED -> offer[0] = true
       :: ticket[1] == OFFERED -> offer[1] = true
       :: ticket[0] == HELD -> ticket[0] = NONE; settle(false)
       :: ticket[0] != HELD && ticket[1] == HELD -> ticket[1] = NONE; settle(false)
       :: else -> if :: unit != FREE -> settle(false) :: else fi
       fi
  :: own != NOBODY && mark[own] ->
       mark[own] = false; ending[own] = false; own = NOBODY;
       if :: unit == UNHEARD -> settle(false) :: else fi
  :: own != NOBODY && !mark[own] && ticket[own] != HELD && !(ending[own]) ->
       k = 1 - own;
       if :: ticket[k] == OFFERED -> requeue(k) :: else fi;
       ticket[own] = HELD; unit = TAKEN; k = 0
  :: else -> if :: own != NOBODY && ticket[own] == HELD -> unit = TAKEN :: else fi
  fi
}
inline clientLeaves(T) {
  if
  :: waiter[T] == ASKED || waiter[T] == ASKING -> owesCancel[T] = true
  :: else
  fi;
  waiter[T] = DONE
}
/* Its holder gives the lease back: known here, or a mark is left. */
inline finished(T) {
  believes[T] = false;
  if :: ticket[T] == HELD -> giveBack(T) :: else -> leaveMark(T) fi
}

/* By the agent's clock. */
inline expire(T) {
  k = T;
  believes[k] = false; own = NOBODY;
  if :: ticket[k] == HELD -> ticket[k] = NONE; settle(false) :: else fi;
  k = 0
}

byte k, round;
active proctype world() {
  byte t;
  d_step { waiter[0] = UNSENT; waiter[1] = UNSENT };
end:
  do
  :: atomic { !hasHealed -> select (t : 0 .. TICKETS - 1);
       if
       :: d_step { waiter[t] == UNSENT -> ask(t); waiter[t] = ASKED }
       :: d_step { waiter[t] == UNSENT -> ask(t); waiter[t] = ASKING }
       :: d_step { waiter[t] != DONE || owesCancel[t] -> beat(t) }
       :: d_step { offer[t] -> consider(t) }
       :: d_step { offer[t] -> offer[t] = false }
       :: d_step { ticket[t] == OFFERED -> lapse(t) }
       :: d_step { granted[t] -> grantHeard(t) }
       :: d_step { granted[t] -> granted[t] = false }
       :: d_step { ending[t] -> ending[t] = false; if :: own == t -> own = NOBODY :: else fi }
       :: d_step { ending[t] -> ending[t] = false }
       :: d_step { waiter[t] != DONE -> clientLeaves(t) }
       :: d_step { believes[t] -> finished(t) }
       :: d_step { believes[t] && own == t -> expire(t) }
       :: else
       fi; t = 0 }
  :: d_step { !hasHealed -> heartbeat() }
  :: d_step { !hasHealed && !hasFailed ->
       hasFailed = true; ticket[0] = NONE; ticket[1] = NONE; mark[0] = false; mark[1] = false; doubt() }

  /* From here on nothing fails. */
  :: d_step { !hasHealed ->
       hasHealed = true;
       for (round : 1 .. ROUNDS) {
         /* A cancel that met a Redis without the lease leaves it standing until its time is over. */
         if :: round == ROUNDS / 2 && hasFailed && own != NOBODY -> expire(own) :: else fi;
         heartbeat();
         for (t : 0 .. TICKETS - 1) { beat(t) };
         for (t : 0 .. TICKETS - 1) {
           if :: ending[t] -> ending[t] = false; if :: own == t -> own = NOBODY :: else fi :: else fi };
         for (t : 0 .. TICKETS - 1) { if :: offer[t] -> consider(t) :: else fi };
         for (t : 0 .. TICKETS - 1) { if :: granted[t] -> grantHeard(t) :: else fi };
         for (t : 0 .. TICKETS - 1) { if :: believes[t] -> finished(t) :: else fi }
       };
       for (t : 0 .. TICKETS - 1) {
         assert(waiter[t] == DONE && ticket[t] == NONE && !owesCancel[t])  /* every request answered, nothing left behind */
       };
       assert(own == NOBODY && unit == FREE);
       t = 0; round = 0 }
  od
}
