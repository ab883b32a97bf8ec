/* A lease that was confirmed and not told, on a host that is silent since, is given up (AnswerAgain.lua, design §4.8).
 *
 * Two hosts, two coordinators, one request that may be taken up at the other coordinator. The wish to put a token in
 * force, and the agent's answer to it, may be late by any time; the silent agent lives, and hears what it hears late.
 */
#define LEASES 2
#include "pool.h"
#define WISHES 4  /* numbered: the lease on host 0 is answered again so often */
#define WAITING 1
#define AGAIN 2
#define DONE 3
#define NOWHERE 2

/* The agent of host 0: the token in force, 0 when its lease has ended. Host 1 is there all the time. */
byte inForce = 1;
bool isOther;
/* Redis: the record of the lease, its token and its coordinator; whether its host is present; the mark. */
bool isRecorded = true, isPresent = true, isLeft;
byte recordToken = 1, owner, mark, fromMark;
/* Under way: the script of a coordinator on its connection, and that on the one before; wishes at the agent, its answers. */
byte script[2], lateScript[2];
byte names[WISHES + 1];
bool isAnswered[WISHES + 1];
/* The coordinators: what their waiter does, and the wish that it awaits. */
byte waiter[2], awaited[2], drawn = 1;
/* What the client counts on: the lease with this token, or the other lease. */
byte counts;
byte clientAt;
bool isSatisfied;

inline endLease() {
  assert(counts == 0);  /* nobody's lease is given up */
  inForce = 0
}
inline giveUp() {
  mark = recordToken; isRecorded = false; recordToken = 0
}
inline asksAgain(C) {
  waiter[C] = WAITING; awaited[C] = 0
}
#ifdef GIVES_UP_FOR_OTHERS
#define isForeign(C) false
#else
#define isForeign(C) (owner != C)
#endif
inline answerAgain(C, WISH) {
  if
  :: isRecorded && isForeign(C) -> waiter[C] = DONE; awaited[C] = 0
  :: isRecorded && !isForeign(C) && isPresent -> names[WISH] = recordToken
  :: isRecorded && !isForeign(C) && !isPresent ->
       giveUp();
       if :: waiter[C] == AGAIN -> asksAgain(C) :: else fi
  :: else
  fi
}
inline tell(C, TOKEN) {
  if
  :: C == clientAt ->
       assert(!isSatisfied);    /* each request has one answer */
       assert(inForce == TOKEN);  /* who is told has it */
       counts = TOKEN; isSatisfied = true
  :: else  /* its call is closed: the cancel of this token is another coordinator's business by now */
  fi;
  waiter[C] = DONE
}

active proctype world() {
  byte c, n;
  d_step { waiter[0] = WAITING };
end:
  do
  :: d_step { isPresent -> isPresent = false }
  /* Its heartbeat: the mark is heard, or the lease restored. */
  :: d_step { inForce != 0 && !isPresent ->
       isPresent = true;
       if
       :: mark == inForce -> endLease(); isRecorded = false
       :: mark != inForce -> if :: !isRecorded && !isOther -> isRecorded = true :: else fi; recordToken = inForce
       fi }
  /* The client comes back at the other coordinator, which takes the request up. */
  :: d_step { !isSatisfied && owner == 0 && waiter[1] == 0 && !isOther -> clientAt = 1; owner = 1; waiter[1] = WAITING }
  :: atomic { c = 0; goto coordinator }
  :: atomic { c = 1;
coordinator:
       if
       /* It draws a token and says so. */
       :: d_step { waiter[c] == WAITING && script[c] == 0 && drawn < WISHES -> drawn++; script[c] = drawn; awaited[c] = drawn; waiter[c] = AGAIN }
       /* Its connection is given up with the script under way, and it asks again. */
       :: d_step { waiter[c] == AGAIN -> if :: script[c] != 0 -> lateScript[c] = script[c]; script[c] = 0 :: else fi; asksAgain(c) }
       /* AnswerAgain.lua */
       :: d_step { script[c] != 0 -> n = script[c]; script[c] = 0; answerAgain(c, n); n = 0 }
       :: d_step { lateScript[c] != 0 ->
#ifdef TAKES_LATE_SCRIPTS
            n = lateScript[c]; answerAgain(c, n); n = 0;
#endif
            lateScript[c] = 0 }
       /* The ticket, asked for again with its age, is served by the other host. */
       :: d_step { waiter[c] == WAITING && clientAt == c && owner == c && !isRecorded && !isOther && !isSatisfied ->
            isOther = true; isSatisfied = true; waiter[c] = DONE }
       :: else
       fi; c = 0 }
  /* The agent puts a token in force and answers. */
  :: atomic { select (n : 2 .. WISHES);
       if
       :: d_step { names[n] != 0 ->
            if :: inForce == names[n] -> assert(counts == 0 || counts == n); inForce = n; isAnswered[n] = true; if :: isRecorded -> recordToken = n :: else fi
            :: else fi;
            names[n] = 0 }
       :: d_step { isAnswered[n] -> isAnswered[n] = false;
            if
            :: awaited[0] == n && waiter[0] != DONE -> tell(0, n)
            :: awaited[1] == n && waiter[1] != DONE -> tell(1, n)
            :: else
            fi }
       :: else
       fi; n = 0 }
  od
}
