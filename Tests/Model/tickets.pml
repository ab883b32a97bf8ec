/* Two leases for one ticket (design §4.8, §6).
 *
 * Two units with an agent each, one request, and a Redis that goes back once to a copy in which the request still
 * waited. So the request gets a second lease while the first may have been told. Whoever has been told keeps it.
 */
#define LEASES 3
#include "pool.h"
#define UNITS 2

byte record[LEASES], unitOf[LEASES], made;
bool isFree[UNITS] = false;           /* Redis may offer the unit */
byte ticketLease = NOBODY;
bool isQueued = true, hasFailed, isWaiting = true;
byte own[UNITS];
/* On their way: offers, confirms, grants, news of a restored lease, cancels of undelivered grants, ends. */
bool offer[LEASES], confirm[LEASES], granted[LEASES], heldNews[LEASES], cancel[LEASES], ending[LEASES], over[LEASES], mark[LEASES];

inline match() {
  for (k : 0 .. UNITS - 1) {
    if
    :: isQueued && isFree[k] && made < LEASES ->
         record[made] = OFFERED; unitOf[made] = k; offer[made] = true; isFree[k] = false;
         isQueued = false; ticketLease = made; made++
    :: else
    fi };
  k = 0
}
inline freed(L) {
  assert(!believes[L]);  /* nobody's lease ends while it counts on it */
  own[unitOf[L]] = NOBODY; over[L] = true
}
inline giveBack(L) {
  record[L] = NONE; ending[L] = true;
  if :: ticketLease == L -> ticketLease = NOBODY :: else fi
}

byte k;
active proctype world() {
  byte u, l;
  d_step { own[0] = NOBODY; own[1] = NOBODY };
end:
  do
  :: atomic { select (l : 0 .. LEASES - 1);
       if
       :: d_step { offer[l] -> offer[l] = false;
            if :: own[unitOf[l]] == NOBODY -> own[unitOf[l]] = l; confirm[l] = true :: else fi }
       :: d_step { confirm[l] -> confirm[l] = false;
            if
            :: record[l] == OFFERED -> record[l] = HELD; granted[l] = true
            :: else -> if :: own[unitOf[l]] == l && record[l] != HELD -> freed(l) :: else fi
            fi }
       :: d_step { record[l] == OFFERED ->  /* it lapses */
            record[l] = NONE;
            if :: ticketLease == l -> ticketLease = NOBODY; isQueued = true; match() :: else fi }
       /* The coordinator tells its client, or gives back what nobody waits for. */
       :: d_step { granted[l] -> granted[l] = false;
            if
            :: isWaiting && !over[l] -> isWaiting = false; believes[l] = true
            :: !isWaiting && !believes[l] -> cancel[l] = true
            :: else
            fi }
       :: d_step { heldNews[l] -> heldNews[l] = false;
            if :: isWaiting && own[unitOf[l]] == l -> isWaiting = false; believes[l] = true :: else fi }
       :: d_step { granted[l] -> granted[l] = false }
       :: d_step { cancel[l] -> cancel[l] = false;
            if
#ifdef CANCEL_NAMES_NO_LEASE
            :: ticketLease != NOBODY && record[ticketLease] == HELD -> giveBack(ticketLease)
#else
            :: record[l] == HELD -> giveBack(l)
            :: record[l] == NONE -> mark[l] = true
#endif
            :: else
            fi }
       :: d_step { ending[l] -> ending[l] = false; if :: own[unitOf[l]] == l -> freed(l) :: else fi }
       /* Its holder gives it back. */
       :: d_step { believes[l] && record[l] == HELD -> believes[l] = false; giveBack(l) }
       :: else
       fi; l = 0 }

  /* An agent's heartbeat. */
  :: atomic { select (u : 0 .. UNITS - 1);
       if
       :: d_step { own[u] == NOBODY && !isFree[u] ->
            l = 0;
            for (k : 0 .. LEASES - 1) { if :: record[k] != NONE && unitOf[k] == u -> l++ :: else fi };
            k = 0;
            if :: l == 0 -> isFree[u] = true; match() :: else fi; l = 0 }
       :: d_step { own[u] != NOBODY && mark[own[u]] -> l = own[u]; record[l] = NONE; freed(l); l = 0 }
       :: d_step { own[u] != NOBODY && !mark[own[u]] && record[own[u]] == NONE && !ending[own[u]] && !confirm[own[u]] ->
            l = own[u]; isFree[u] = false;
            if
            :: ticketLease != NOBODY && record[ticketLease] == HELD ->
#ifdef SECOND_LEASE_ENDS
                 freed(l)
#else
                 record[l] = HELD  /* it stands beside the other: who has been told is not known here */
#endif
            :: else ->
                 if :: ticketLease != NOBODY && record[ticketLease] == OFFERED -> record[ticketLease] = NONE :: else fi;
                 record[l] = HELD; ticketLease = l; isQueued = false; heldNews[l] = true
            fi;
            l = 0 }
       :: else
       fi; u = 0 }

  /* Redis goes back to a copy in which the request waited. */
  :: d_step { !hasFailed ->
       hasFailed = true; isQueued = true; ticketLease = NOBODY; isFree[0] = false; isFree[1] = false;
       for (k : 0 .. LEASES - 1) { record[k] = NONE; mark[k] = false };
       k = 0 }
  od
}
