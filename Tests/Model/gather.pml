/* Who takes several units starves nobody and is not starved (docs/protocol.md §5).
 *
 * A host with two units in ticks, a request for both, and others without end for one each, all of them behind it. Holders
 * keep a unit for any time up to LONGEST. The request may give up at any moment, and another one come at once.
 */
#define UNITS 2
#define LONGEST 6  /* ticks that a lease of one unit lasts at most */
#define FIRST 1    /* ticks of a first attempt */
#define BOUND 60   /* ticks that the request waits at most */

#define RESERVED 0  /* else for how long the unit has been held, from 1 */
byte age[UNITS];
bool gathers;
byte elapsed, span = FIRST, pause;
byte waited;
/* Ticks for which units were held back in vain, less those since for which none was. */
byte debt;

inline take(U) { age[U] = 1 }
inline takeReserved() {
  if :: age[0] == RESERVED -> take(0) :: else fi;
  if :: age[1] == RESERVED -> take(1) :: else fi
}
/* The attempt is over without success: the others have what was held back. */
inline scatter() {
  gathers = false;
#ifndef NO_PAUSE
  pause = elapsed;
#endif
  elapsed = 0;
  takeReserved()
}
inline granted() {
  gathers = false; elapsed = 0; span = FIRST; waited = 0; debt = 0;
  takeReserved()
}
/* The holder of a unit gives it back. */
inline settle(U, OTHER) {
  if
  :: age[OTHER] == RESERVED -> age[U] = RESERVED; granted()
#ifdef HOLDS_NOTHING
  :: else -> take(U)
#else
  :: age[OTHER] != RESERVED && pause == 0 -> age[U] = RESERVED; gathers = true
  :: age[OTHER] != RESERVED && pause > 0 -> take(U)
#endif
  fi
}
inline mayEnd(U, OTHER) {
  if
  :: age[U] > 0 -> settle(U, OTHER)
  :: age[U] < LONGEST
  fi
}
inline passes() {
  waited++;
  assert(waited <= BOUND);  /* the request is not starved */
  if
  :: gathers ->
       elapsed++; debt++;
       assert(debt <= span);  /* in vain no longer than not at all, but for the present attempt */
       if
       :: elapsed == span ->
            scatter();
#ifndef NO_DOUBLING
            span = 2 * span
#endif
       :: else
       fi
  :: else ->
       if :: pause > 0 -> pause-- :: else fi;
       if :: debt > 0 -> debt-- :: else fi
  fi;
  if :: age[0] > 0 -> age[0]++ :: else fi;
  if :: age[1] > 0 -> age[1]++ :: else fi
}
inline givesUp() {
  waited = 0; span = FIRST;
  if
#ifdef LEAVES_WITHOUT_PAUSE
  :: gathers -> elapsed = 0; scatter()
#else
  :: gathers -> scatter()
#endif
  :: else
  fi
}

init {
  take(0); take(1);
  do
  :: d_step { skip } ->
       mayEnd(0, 1);
       mayEnd(1, 0);
       if
       :: givesUp()
       :: skip
       fi;
       passes()
  od
}
