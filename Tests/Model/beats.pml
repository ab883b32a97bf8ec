/* A coordinator's heartbeat compares both ways (design §6): what it has and Redis lacks, and what Redis has and it lacks.
 *
 * One coordinator, one unit, one request whose client may give up and call again with the same `request_id`. Asks, cancels
 * and their answers are late by any time or lost; Redis goes back once to when the request waited. At any moment the
 * faults may cease: then a few rounds of heartbeats leave the same waiters on both sides.
 */
#define LEASES 3
#include "pool.h"
#define TOKENS 3
#ifndef ROUNDS
#define ROUNDS 4
#endif

/* Redis. Tokens are numbered by the visits of the client. */
byte ticket = NONE, token;
bool isFree, hasFailed, hasHealed;  /* the unit is somebody else's at first */
/* The coordinator: the visit that waits, 0 for none. */
byte waiter, visits;
/* What the client counts on, by its token. */
byte counts;
/* Under way: asks and cancels by token, the word that gives up what the coordinator does not know, and the grant. */
bool ask[TOKENS], cancel[TOKENS], forgotten;
byte granted;

inline match() { if :: isFree && ticket == QUEUED -> ticket = HELD; isFree = false; granted = token :: else fi }
inline asked(T) {
  if
  :: ticket == NONE -> ticket = QUEUED; token = T
  :: ticket == QUEUED -> token = T
  :: else
  fi;
  match()
}
inline over() {
  assert(counts == 0 || counts != token);  /* nothing but its own word ends the lease of who counts on it */
  ticket = NONE; token = 0; isFree = true; granted = 0
}
/* Cancel.lua: a queued ticket goes, whoever says it of this coordinator; a lease by its token alone. */
inline cancelled(T) {
  if
  :: ticket == QUEUED -> ticket = NONE; token = 0
#ifdef FORGOTTEN_TAKES_LEASES
  :: ticket == HELD && (token == T || T == 0) -> over()
#else
  :: ticket == HELD && token == T -> over()
#endif
  :: else
  fi
}
inline told(T) {
  if
  :: T != 0 && waiter != 0 && ticket == HELD && token == T ->
       /* with another token than its own it is answered again */
       token = waiter; counts = waiter; waiter = 0
  :: T != 0 && waiter == 0 && counts != T -> cancel[T - 1] = true
  :: else
  fi
}
inline beat() {
  if
  :: waiter != 0 && ticket == NONE -> asked(waiter)
  :: waiter != 0 && ticket == HELD -> told(token)
#ifndef COMPARES_ONE_WAY
  :: waiter == 0 && ticket == QUEUED -> forgotten = true
#endif
  :: else
  fi
}

byte round;
active proctype world() {
  byte t;
end:
  do
  :: atomic { !hasHealed ->
       if
       /* The client calls, again perhaps, and gives up. */
       :: d_step { waiter == 0 && counts == 0 && visits < TOKENS -> visits++; waiter = visits; ask[visits - 1] = true }
       :: d_step { waiter != 0 -> cancel[waiter - 1] = true; waiter = 0 }
       :: d_step { counts != 0 -> t = counts; counts = 0; if :: ticket == HELD && token == t -> over() :: else fi; t = 0 }
       :: d_step { granted != 0 -> t = granted; granted = 0; told(t); t = 0 }
       :: d_step { granted != 0 -> granted = 0 }
       :: d_step { forgotten -> forgotten = false; cancelled(0) }
       :: d_step { true -> beat(); match() }
       :: d_step { !isFree && ticket != HELD -> isFree = true; match() }
       /* Redis goes back to when the request waited. */
       :: d_step { !hasFailed && visits > 0 && counts == 0 -> hasFailed = true; ticket = QUEUED; token = 1; isFree = false; granted = 0 }
       fi }
  :: atomic { !hasHealed -> select (t : 0 .. TOKENS - 1);
       if
       :: d_step { ask[t] -> ask[t] = false; asked(t + 1) }
       :: d_step { ask[t] -> ask[t] = false }
       :: d_step { cancel[t] -> cancel[t] = false; cancelled(t + 1); match() }
       :: d_step { cancel[t] && ticket != HELD -> cancel[t] = false }
       :: else
       fi; t = 0 }

  /* From here on nothing fails. */
  :: d_step { !hasHealed ->
       hasHealed = true;
       for (round : 1 .. ROUNDS) {
         for (t : 0 .. TOKENS - 1) {
           if :: ask[t] -> ask[t] = false; asked(t + 1) :: else fi;
           if :: cancel[t] -> cancel[t] = false; cancelled(t + 1); match() :: else fi };
         if :: granted != 0 -> t = granted; granted = 0; told(t) :: else fi;
         beat(); match();
         if :: forgotten -> forgotten = false; cancelled(0); match() :: else fi;
         if :: counts != 0 -> t = counts; counts = 0; if :: ticket == HELD && token == t -> over() :: else fi :: else fi
       };
       assert(waiter == 0 || ticket == QUEUED);  /* who waits, waits in Redis */
       assert(ticket != QUEUED || waiter != 0);  /* and nobody waits there whom nobody has */
       t = 0; round = 0 }
  od
}
