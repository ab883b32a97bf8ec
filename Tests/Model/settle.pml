/* What Redis has lost is filled again before anything is offered (docs/decisions/0009).
 *
 * Two units with an agent each, two coordinators with a waiter each of which one goes first, and a request that holds one
 * unit and is repeated by its client. Redis forgets everything, or goes back to one of two older copies. Who lives speaks
 * within the settling; a copy is noticed by the first heartbeat, which is the first script that runs on it.
 */
#define LEASES 4
#include "pool.h"
#define KEPT 12  /* free, and offered to nobody yet */
#define FIRST 0
#define SECOND 1
#define REPEATED 2
#define OTHER 3

/* Redis. */
byte ticket[3];
byte unit[2] = TAKEN;
bool isSettled = true, hasBegun = true, isCopy, lacksEvent, hasSpoken[2], hasBeaten[2];
/* The agents. */
byte own[2];
/* The coordinators: their asks on the way, and that of the repeated request. */
bool isWaiting[3] = true, owesAsk[2], isAsked, hasFailed;

#define haveAsked (hasBeaten[0] && hasBeaten[1] && !owesAsk[0] && !owesAsk[1])
#ifdef SETTLES_WITH_THE_FIRST_BEAT
#define haveAllSpoken true
#endif
#ifdef WAITS_FOR_COORDINATORS_ONLY
#define haveAllSpoken haveAsked
#endif
#ifndef haveAllSpoken
#define haveAllSpoken (haveAsked && hasSpoken[0] && hasSpoken[1])
#endif

inline offer(U, T) {
  assert(T != SECOND || !isWaiting[FIRST]);        /* the old order */
  assert(T != REPEATED || own[0] != REPEATED);     /* no second lease */
  unit[U] = TAKEN; isWaiting[T] = false;
  if :: own[U] == NOBODY -> own[U] = T; ticket[T] = LEASED :: else fi  /* else it is rejected, and goes back */
}
inline match(U) {
  if
  :: !isSettled -> unit[U] = KEPT
  :: isSettled && ticket[FIRST] == QUEUED -> offer(U, FIRST)
  :: isSettled && ticket[FIRST] != QUEUED && ticket[SECOND] == QUEUED -> offer(U, SECOND)
  :: isSettled && ticket[FIRST] != QUEUED && ticket[SECOND] != QUEUED && ticket[REPEATED] == QUEUED -> offer(U, REPEATED)
  :: else -> unit[U] = FREE
  fi
}
inline ask(T) {
  if
  :: ticket[T] == NONE ->
       if
#ifdef TAKES_FREE_UNITS_OF_A_COPY
       :: unit[1] == FREE || (unit[1] == KEPT && isCopy) -> offer(1, T)
#else
       :: unit[1] == FREE && isSettled -> offer(1, T)
#endif
       :: else -> ticket[T] = QUEUED
       fi
  :: else
  fi
}
inline begin() {
  hasBegun = true; isSettled = false; lacksEvent = false;
  hasSpoken[0] = false; hasSpoken[1] = false; hasBeaten[0] = false; hasBeaten[1] = false;
  for (k : 0 .. 1) { if :: unit[k] == FREE -> unit[k] = KEPT :: else fi };
  k = 0
}
inline beat(C) {
  if
  :: !hasBegun -> begin()
#ifndef COPY_GOES_UNNOTICED
  :: hasBegun && lacksEvent -> begin()
#endif
  :: else -> lacksEvent = false
  fi;
  if :: ticket[C] == NONE && isWaiting[C] -> owesAsk[C] = true :: else fi;
  hasBeaten[C] = true;
  if
  :: !isSettled && haveAllSpoken ->
       isSettled = true;
       if :: unit[1] == KEPT -> match(1) :: else fi;
       if :: unit[0] == KEPT -> match(0) :: else fi
  :: else
  fi
}

byte k;
active proctype world() {
  d_step { ticket[FIRST] = QUEUED; ticket[SECOND] = QUEUED; ticket[REPEATED] = LEASED; own[0] = REPEATED; own[1] = OTHER };
end:
  do
  /* Redis loses what it knows: everything; the ticket of who goes first; or all of those that came since a unit was free. */
  :: atomic { !hasFailed -> hasFailed = true;
       if
       :: d_step { ticket[FIRST] = NONE; ticket[SECOND] = NONE; ticket[REPEATED] = NONE; unit[0] = UNHEARD; unit[1] = UNHEARD;
            hasBegun = false;
#ifndef OFFERS_AT_ONCE
            isSettled = false
#endif
          }
       :: d_step { isCopy = true; lacksEvent = true; ticket[FIRST] = NONE; ticket[REPEATED] = QUEUED }
       :: d_step { own[1] == NOBODY || own[1] == OTHER ->
            isCopy = true; lacksEvent = true;
            ticket[FIRST] = NONE; ticket[SECOND] = NONE; ticket[REPEATED] = NONE; unit[1] = FREE }
       fi }

  /* A coordinator's heartbeat: it may find the loss, it tells which waiters are lost, and may end the settling. */
  :: d_step { true -> beat(0) }
  :: d_step { true -> beat(1) }
  :: d_step { !lacksEvent && owesAsk[0] -> owesAsk[0] = false; ask(FIRST) }
  :: d_step { !lacksEvent && owesAsk[1] -> owesAsk[1] = false; ask(SECOND) }
  :: d_step { !lacksEvent && hasFailed && !isAsked -> isAsked = true; ask(REPEATED) }

  /* An agent's heartbeat. */
  :: d_step { !lacksEvent ->
       hasSpoken[0] = true; unit[0] = TAKEN;
       if :: own[0] == REPEATED && ticket[REPEATED] != LEASED -> ticket[REPEATED] = LEASED :: else fi }
  :: d_step { !lacksEvent ->
       hasSpoken[1] = true;
       if
       :: own[1] == NOBODY && unit[1] != FREE && unit[1] != KEPT -> match(1)
       :: own[1] == NOBODY && (unit[1] == FREE || unit[1] == KEPT)
       :: else -> unit[1] = TAKEN; if :: own[1] < OTHER -> ticket[own[1]] = LEASED :: else fi
       fi }
  /* The lease on it ends. */
  :: d_step { !lacksEvent && own[1] != NOBODY ->
       own[1] = NOBODY; if :: unit[1] == TAKEN -> match(1) :: else fi }
  od
}
