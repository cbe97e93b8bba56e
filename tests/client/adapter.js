// What the suite of Promises/A+ needs around weir's promise (promise_addon.cpp): objects with `then`, and the part of
// the standard that speaks of other people's objects with `then` (2.3.3). States, handlers, their order and when they
// run, adoption of weir's own promises, and "the first call counts" are all the addon's.
"use strict";

const weir = require(process.env.WEIR_PROMISE_ADDON);

class WeirPromise {
  constructor(native) {
    this.native = native;
  }

  then(onFulfilled, onRejected) {
    return new WeirPromise(weir.then(this.native, handler(onFulfilled), handler(onRejected)));
  }
}

// The addon calls it with the value, or the reason, and a promise for what becomes of the call.
function handler(f) {
  if (typeof f !== "function") return null;
  return (argument, result) => {
    let x;
    try {
      x = f(argument);
    } catch (reason) {
      weir.reject(result, reason);
      return;
    }
    resolve(result, x);
  };
}

// 2.3: a promise of weir's is adopted there; a foreign one settles another promise of weir's, which is adopted.
function resolve(native, x) {
  if (x instanceof WeirPromise) {
    weir.adopt(native, x.native);
    return;
  }
  if ((typeof x !== "object" && typeof x !== "function") || x === null) {
    weir.fulfil(native, x);
    return;
  }
  let then;
  try {
    then = x.then; // once (2.3.3.1)
  } catch (reason) {
    weir.reject(native, reason);
    return;
  }
  if (typeof then !== "function") {
    weir.fulfil(native, x);
    return;
  }
  const inner = weir.make();
  weir.adopt(native, inner);
  try {
    then.call(x, (y) => resolve(inner, y), (reason) => weir.reject(inner, reason));
  } catch (reason) {
    weir.reject(inner, reason);
  }
}

exports.deferred = () => {
  const native = weir.make();
  return {
    promise: new WeirPromise(native),
    resolve: (x) => resolve(native, x),
    reject: (reason) => weir.reject(native, reason),
  };
};
exports.close = weir.close;
