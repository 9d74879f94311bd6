import time, numpy as np
def test_try(studio):
    t=time.time()
    p=studio.recording()
    print('rec', time.time()-t); t=time.time()
    s=studio.run(p, studio.table([{"id":f"m{k}","name":n} for k,n in enumerate(["Anna","Bob","Christopher"])]), template="Hello {name}, your parcel comes today.", workers=1)
    print('run', time.time()-t, s)
    for e in studio.entries().values(): print(e)
    print(len(studio.network.painted))
    print(studio.numbers(studio.out/"m0.mp4"))
