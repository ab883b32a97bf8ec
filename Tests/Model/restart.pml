/* Restarts, reboots and lost journals (design §5, §6), and fencing tokens across them.
 *
 * One unit with leases of two lengths in turn, the agent's table and its journal, which a crash may find a step behind,
 * a Redis whose records may be older than the agent's, and holders. Time passes in ticks.
 */
#define LEASES 3
#include "pool.h"

#define SHORT 1
#define LONG 3
#define LOCK_DELAY 1
#ifndef TOKENS
#define TOKENS 4
#endif

/* A table of the unit: its lease, what is left of it and of the lock-delay, the highest token confirmed, and for how
 * long the unit rests. */
typedef Table { byte lease; byte left; byte rest; byte highest; byte resting }
Table agent, journal;
/* The journal of the host's other state directory, which an operator may take by mistake; and whether the one in use has
 * seen who spoke last for this host. */
Table aside;
bool hasAside, hasLeft;
bool runs = true, hasJournal = true, isOfThisBoot = true;
/* The longest lease ever confirmed here, fsynced; how long the host has to rest since it booted. */
byte longest, bootRest;
/* A lease that Redis shows for this unit. */
byte shown = NOBODY;
/* What is about to be said, once the journal has been written. */
byte toConfirm = NOBODY, toRenew = NOBODY;
/* Lengths of the leases, what their holders count on, and whether a grant of them is told yet. */
byte length[LEASES], counts[LEASES];
bool isTold[LEASES];
/* Redis's fencing counter; the highest token that any lease of this unit began with; the wall clock. */
byte fence, begun;

#define sooner(number) if :: number > 0 -> number-- :: else fi

inline tick() {
  sooner(agent.left);
  if :: runs && agent.left == 0 -> sooner(agent.rest) :: else fi;
  if :: hasJournal && isOfThisBoot -> sooner(journal.left); sooner(journal.resting) :: else fi;
  if :: hasAside -> sooner(aside.left); sooner(aside.resting) :: else fi;
  sooner(agent.resting); sooner(bootRest);
  for (k : 0 .. LEASES - 1) { sooner(counts[k]) };
  k = 0
}
inline write() {
  journal.lease = agent.lease; journal.left = agent.left; journal.rest = agent.rest; journal.highest = agent.highest;
  journal.resting = agent.resting;
  hasJournal = true; isOfThisBoot = true
}
/* While it rests another lease than the one that ends may stand: nobody gets the unit. */
inline unitIsFree() {
  for (k : 0 .. LEASES - 1) { assert(counts[k] == 0 || agent.resting > 0) };
  agent.lease = NOBODY; agent.left = 0; agent.rest = 0;
  k = 0
}
inline crash() {
  runs = false; toConfirm = NOBODY; toRenew = NOBODY;
  agent.lease = NOBODY; agent.left = 0; agent.rest = 0; agent.highest = 0; agent.resting = 0
}
/* Said to Redis: the lease begins, and its holder is told. Nothing tells it after its time. */
inline say(L) {
  shown = L;
  assert(agent.highest > begun);  /* tokens of successive leases rise */
  begun = agent.highest;
  if :: agent.lease == L && agent.left > 0 -> counts[L] = agent.left :: else fi
}

byte k;
active proctype world() {
  byte l, number;
  d_step { agent.lease = NOBODY; journal.lease = NOBODY; length[0] = LONG; length[1] = SHORT; length[2] = SHORT }
end:
  do
  :: d_step { true -> tick() }

  /* An offer of the next lease. Its token is above the counter, which may have been lost; the agent has the last word. */
  :: atomic { runs && agent.resting == 0 && agent.lease == NOBODY && begun < TOKENS ->
       select (l : 0 .. LEASES - 1); select (number : 1 .. TOKENS);
       if
       :: counts[l] == 0 && toConfirm == NOBODY &&
#ifndef ANY_TOKEN
          number > agent.highest &&
#endif
          number > fence -> d_step {
            unitIsFree();
            agent.lease = l; agent.left = length[l]; agent.rest = LOCK_DELAY;
            fence = number; agent.highest = number;
            if :: length[l] > longest -> longest = length[l] :: else fi;
#ifdef CONFIRMS_BEFORE_JOURNAL
            say(l);
#endif
            toConfirm = l }
       :: else
       fi; l = 0; number = 0 }
  :: d_step { toConfirm != NOBODY -> write();
#ifndef CONFIRMS_BEFORE_JOURNAL
       say(toConfirm);
#endif
       toConfirm = NOBODY }

  /* A renewal: the deadline moves, the journal is written, the holder is told. */
  :: d_step { runs && agent.lease != NOBODY && agent.left > 0 && toConfirm == NOBODY && toRenew == NOBODY ->
       agent.left = length[agent.lease]; toRenew = agent.lease;
#ifdef RENEWS_BEFORE_JOURNAL
       counts[agent.lease] = agent.left;
#endif
     }
  :: d_step { toRenew != NOBODY ->
       write();
       if :: agent.lease == toRenew && agent.left > 0 -> counts[toRenew] = agent.left :: else fi;
       toRenew = NOBODY }

  /* Its holder gives it back; its time is over. The journal learns of it later, or not. */
  :: d_step { runs && agent.lease != NOBODY && counts[agent.lease] > 0 && toConfirm == NOBODY && toRenew == NOBODY ->
       counts[agent.lease] = 0; unitIsFree() }
  :: d_step { runs && agent.lease != NOBODY && agent.left == 0 && agent.rest == 0 && toConfirm == NOBODY ->
       toRenew = NOBODY; unitIsFree() }
  :: d_step { runs && toConfirm == NOBODY && toRenew == NOBODY -> write() }

  /* The agent's process dies, the host reboots, the journal is lost; Redis loses its counter. */
  :: d_step { runs -> crash() }
  :: d_step { true -> crash(); isOfThisBoot = false;
       aside.lease = NOBODY; aside.left = 0; aside.rest = 0; aside.resting = 0;
#ifndef REST_BY_LAST_LEASE
       bootRest = longest + LOCK_DELAY
#else
       bootRest = (begun == 0 -> 0 : SHORT + LOCK_DELAY)
#endif
     }
  :: d_step { !runs && begun > 0 -> hasJournal = false; longest = 0; bootRest = 0 }
  :: d_step { fence = 0 }
  /* Another state directory is taken, in which there is no journal; and the first again. */
  :: d_step { !runs && hasJournal && isOfThisBoot && begun > 0 && !hasLeft ->
       hasLeft = true; hasAside = true;
       aside.lease = journal.lease; aside.left = journal.left; aside.rest = journal.rest; aside.highest = journal.highest;
       aside.resting = journal.resting;
       hasJournal = false; longest = 0; bootRest = 0 }
  :: d_step { !runs && hasAside && isOfThisBoot ->
       hasAside = false;
       journal.lease = aside.lease; journal.left = aside.left; journal.rest = aside.rest;
#ifdef TRUSTS_AN_OLDER_JOURNAL
       journal.highest = aside.highest; journal.resting = aside.resting;
#else
       journal.highest = begun; journal.resting = LONG + LOCK_DELAY;
#endif
       aside.lease = NOBODY; aside.left = 0; aside.rest = 0; aside.highest = 0; aside.resting = 0;
       hasJournal = true; longest = LONG }

  /* It starts again. */
  :: d_step { !runs && hasJournal && isOfThisBoot ->
       runs = true;
       agent.lease = journal.lease; agent.rest = journal.rest; agent.highest = journal.highest;
#ifndef FORGETS_TO_REST
       agent.resting = journal.resting;
#endif
#ifdef RESTART_PROLONGS
       agent.left = (journal.lease == NOBODY -> 0 : length[journal.lease]);
#else
       agent.left = journal.left;
#endif
       assert(agent.left <= journal.left);  /* no crash loop keeps a lease alive */
       write() }
  :: d_step { !runs && hasJournal && !isOfThisBoot ->
       runs = true; agent.highest = journal.highest;
#ifndef ADOPTS_FROM_REDIS
       agent.resting = bootRest;
#else
       if :: shown != NOBODY -> agent.lease = shown; agent.left = length[shown]; agent.rest = LOCK_DELAY :: else fi;
#endif
       write() }
  :: d_step { !runs && !hasJournal ->
       runs = true;
#ifdef NO_FLOOR
       agent.highest = 0;
#else
       agent.highest = begun;  /* the wall clock in µs, which tokens follow */
#endif
#ifndef LOST_JOURNAL_IS_FIRST_JOIN
       agent.resting = LONG + LOCK_DELAY;
#endif
#ifndef FORGETS_THE_LONGEST
       longest = LONG;
#endif
       write() }
  /* What Redis shows is from an older copy, or nothing. */
  :: atomic { select (l : 0 .. LEASES); shown = l; l = 0 }
  od
}
