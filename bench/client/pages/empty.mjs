// A page without any client: what is measured of the others is what comes on top.

window.bench.tell({ signedIn: true, fresh: true, words: "nothing" });
