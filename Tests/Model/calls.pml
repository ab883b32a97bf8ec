/* Calls of unknown age (design §4.8, §6; decisions/0007).
 *
 * A client's call lies unread at a coordinator that stands still; the client gives it up and is served elsewhere with the same
 * request_id. A call that is closed is seen to be closed when it is read. One that ends without a sign (its client's machine is
 * gone, a proxy forgets it) is not given up before its bytes are older than the coordinator takes them. Time passes in ticks.
 */
#include "pool.h"
#define BOUND 2
#define OLD 4

byte age;                    /* of the bytes of the first call */
bool isUnread = true, isAsked, isClosed, isGivenUp, isTold;
byte owner = 1;              /* whose the request is in Redis: 0 the first coordinator, 1 the second */

active proctype world() {
end:
  do
  :: d_step { age < OLD -> age++ }
  :: d_step { !isGivenUp -> isClosed = true; isGivenUp = true }
  :: d_step { !isGivenUp && age >= BOUND -> isGivenUp = true }
  /* Its newer call is answered by the second coordinator. */
  :: d_step { isGivenUp && !isTold -> owner = 1; isTold = true }
  /* The first one runs again, and reads the call. */
  :: d_step { isUnread ->
       isUnread = false;
       if
#ifdef STARTS_OLD_CALLS
       :: true -> isAsked = true; owner = 0
#else
       :: age < BOUND -> isAsked = true; owner = 0
#endif
       :: else
       fi }
  /* Its lease is answered again, with a new token. */
  :: d_step { isAsked &&
#ifndef DRAWS_FOR_NOBODY
       !isClosed &&
#endif
       owner == 0 -> isAsked = false;
       assert(!isTold)  /* nobody changes a holder's token behind its back */ }
  od
}
