/* Whose clock counts from when (design §5).
 *
 * One lease of a unit, its agent, a coordinator with its heartbeats, a holder. Once the agent has freed the unit anybody
 * may get it: so nobody may count on the lease then, and nobody may begin to. Time passes in ticks, between any two steps as many
 * as one likes: so Redis stands still, machines pause and packets are under way for any time. All times are ages and
 * remaining times that stop at a bound, so that the search is finite and covers unbounded runs.
 */
#define LEASES 1
#include "pool.h"

#define TTL 3
#ifdef NO_SLACK
#define SLACK 0
#else
#define SLACK 1
#endif
#define LOCK_DELAY 1
#define OLD (TTL + 1)
/* An answer's way to a client that counts from its arrival is bounded by TCP_USER_TIMEOUT: slack and lock-delay. */
#define WAY 2

#define OFFER 1
#define GRANT 2
#define ASK 3
#define ANSWER 4
#define RENEWALS 2

#define older(age) if :: age < OLD -> age++ :: else fi
#define sooner(left) if :: left > 0 -> left-- :: else fi

/* The coordinator's heartbeats: how long ago the one under way was sent, and the one that Redis has. */
bool isBeating;
byte beatUnderWay, beatKnown = OLD;

/* The agent. */
byte own = NOBODY, left, rest;

/* The leases: where the message is, and how long ago the heartbeat that the offer names was sent. */
byte stage[LEASES], counted[LEASES];
bool isForeign[LEASES];       /* taken up by another coordinator: no number of its own */
/* Renewals of a lease, also those that answer it again; the later sending is the one that is waited for. */
byte renewal[LEASES * RENEWALS], sent[LEASES * RENEWALS], current[LEASES];
/* The answer on its way to the holder and what it says; what the holder counts on. */
byte way[LEASES], told[LEASES], counts[LEASES];

inline tellHolder(L, SINCE) {
  if
  :: TTL - SLACK > SINCE && told[L] == 0 -> told[L] = TTL - SLACK - SINCE; way[L] = 0
  :: else
  fi
}
inline isFree() {
  own = NOBODY; left = 0;
  for (k : 0 .. LEASES - 1) { assert(counts[k] == 0) };
  k = 0
}

/* What grows older by the coordinator's clock, and what becomes less by the agent's and the holder's. */
inline ages() {
  if :: isBeating -> older(beatUnderWay) :: else fi;
  older(beatKnown);
  for (k : 0 .. LEASES - 1) { if :: stage[k] != NONE -> older(counted[k]) :: else fi };
  for (k : 0 .. LEASES * RENEWALS - 1) { if :: renewal[k] != NONE -> older(sent[k]) :: else fi };
  k = 0
}
inline leftovers() {
  for (k : 0 .. LEASES - 1) {
    sooner(counts[k]);
    if :: told[k] > 0 -> way[k]++ :: else fi };
  k = 0;
  if
  :: left > 0 -> left--
#ifndef NO_LOCK_DELAY
  :: left == 0 && rest > 0 -> rest--
#endif
  :: else
  fi
}

byte k;
active proctype world() {
  byte l, r;
end:
  do
  /* A tick. Answers arrive within their bound. */
  :: d_step { !(told[0] > 0 && way[0] == WAY) -> ages(); leftovers() }
#ifdef COORDINATOR_CLOCK_STOPS
  :: d_step { !(told[0] > 0 && way[0] == WAY) -> leftovers() }
#endif

  /* Heartbeats of the coordinator, one at a time. */
  :: d_step { !isBeating -> isBeating = true; beatUnderWay = 0 }
  :: d_step { isBeating -> isBeating = false; beatKnown = beatUnderWay; beatUnderWay = 0 }
  :: d_step { isBeating -> isBeating = false; beatUnderWay = 0 }  /* lost */
  :: d_step { beatKnown = OLD }  /* a flush, or an older copy */

  /* A lease is offered; a slot is used again when nothing of its last lease is left anywhere. */
  :: atomic { l = 0;
       if
       :: d_step { stage[l] == NONE && own != l && counts[l] == 0 && told[l] == 0 &&
                   renewal[2 * l] == NONE && renewal[2 * l + 1] == NONE ->
            stage[l] = OFFER; counted[l] = beatKnown; isForeign[l] = false }
       /* The agent hears the offer, journals and confirms; Redis passes the grant on. */
       :: d_step { stage[l] == OFFER && own == NOBODY ->
            own = l; rest = LOCK_DELAY; stage[l] = GRANT;
            left = TTL }
#ifdef AGENT_TAKES_TOLD_TIME
       :: d_step { stage[l] == OFFER && own == NOBODY -> own = l; rest = LOCK_DELAY; stage[l] = GRANT; left = 1 }
#endif
       :: d_step { stage[l] == OFFER && own != NOBODY -> stage[l] = NONE; counted[l] = 0 }
       :: d_step { stage[l] == GRANT && !isForeign[l] -> isForeign[l] = true }
       /* The coordinator tells its client. */
       :: d_step { stage[l] == GRANT ->
            if
#if defined(COUNTS_FROM_RECEIPT)
            :: !isForeign[l] -> tellHolder(l, 0)
#elif defined(COUNTS_FROM_LAST_BEAT)
            :: !isForeign[l] -> if :: isBeating -> tellHolder(l, beatUnderWay) :: else -> tellHolder(l, beatKnown) fi
#else
            :: !isForeign[l] -> tellHolder(l, counted[l])
#endif
#ifdef FOREIGN_NUMBER
            :: isForeign[l] -> tellHolder(l, 0)
#endif
            :: else
            fi;
            stage[l] = NONE; counted[l] = 0; isForeign[l] = false }
       :: d_step { stage[l] != NONE -> stage[l] = NONE; counted[l] = 0; isForeign[l] = false }  /* lost */
       :: d_step { told[l] > 0 ->
            if :: told[l] > counts[l] -> counts[l] = told[l] :: else fi;
            assert(counts[l] == 0 || own == l);
            told[l] = 0; way[l] = 0 }
       :: d_step { told[l] > 0 -> told[l] = 0; way[l] = 0 }
       /* Its holder gives it back, and from then on counts on nothing. */
       :: d_step { own == l && told[l] == 0 && counts[l] > 0 ->
            counts[l] = 0; stage[l] = NONE; counted[l] = 0; isForeign[l] = false;
            renewal[2 * l] = NONE; renewal[2 * l + 1] = NONE; sent[2 * l] = 0; sent[2 * l + 1] = 0; current[l] = 0;
            isFree() }
       :: else
       fi; l = 0 }

  /* Renewals. */
  :: atomic { select (r : 0 .. LEASES * RENEWALS - 1);
       if
       :: d_step { renewal[r] == NONE && (own == r / 2 || counts[r / 2] > 0) ->
            renewal[r] = ASK; sent[r] = 0; current[r / 2] = r % 2 }
#ifdef ANSWERED_WITHOUT_AGENT
       :: d_step { renewal[r] == ASK && counts[r / 2] > 0 -> renewal[r] = ANSWER }
#endif
       :: d_step { renewal[r] == ASK && own == r / 2 && left > 0 -> left = TTL; rest = LOCK_DELAY; renewal[r] = ANSWER }
       :: d_step { renewal[r] == ANSWER ->
            if
#if defined(RENEWAL_FROM_RECEIPT)
            :: r % 2 == current[r / 2] -> tellHolder(r / 2, 0)
#elif defined(ANY_ANSWER)
            :: r % 2 != current[r / 2] && renewal[r - r % 2 + current[r / 2]] != NONE ->
                 tellHolder(r / 2, sent[r - r % 2 + current[r / 2]])
            :: r % 2 == current[r / 2] -> tellHolder(r / 2, sent[r])
#else
            :: r % 2 == current[r / 2] -> tellHolder(r / 2, sent[r])
#endif
            :: else
            fi;
            renewal[r] = NONE; sent[r] = 0 }
       :: d_step { renewal[r] != NONE -> renewal[r] = NONE; sent[r] = 0 }  /* lost, or refused */
       :: else
       fi; r = 0 }

  /* The end by the agent's clock: the deadline and the lock-delay. */
#ifdef NO_LOCK_DELAY
  :: d_step { own != NOBODY && left == 0 -> isFree() }
#else
  :: d_step { own != NOBODY && left == 0 && rest == 0 -> isFree() }
#endif
  od
}
