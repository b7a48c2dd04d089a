"""lab: dump sheets of many kinds"""
import io, json, re, sys
import pytest
from dataclasses import replace
from device_app import create_app
from device_app.store.records import Upload
from device_app.store.queue import FailureCode
from device_app.readings import Draft, Judgement, Kind
from device_app.status import Phase, ReaderStatus
from tests.device_app import sample
from tests.device_app.conftest import FixedReader
from pathlib import Path
OUT=Path("/tmp/report_out"); OUT.mkdir(exist_ok=True)
READY = ReaderStatus(Phase.READY, engine="onnxruntime-fp32", bundle_sha256="ab" * 32)
BROKEN = ReaderStatus(Phase.CANNOT_ANSWER, reason="the bundle is not signed", hint="install another")
def put(store, gap, seed, label="", exam="", **more):
    d = gap if isinstance(gap, bytes) else sample.picture(gap, seed)
    return store.records.receive(io.BytesIO(d), Upload("a.png", label, examination=exam, **more)).public_id
def dump(client, ident, name):
    a=client.get(f"/examinations/{ident}/report.pdf")
    p=client.get(f"/examinations/{ident}/report/")
    (OUT/f"{name}.html").write_text(p.text)
    assert a.status_code==200, a.text
    (OUT/f"{name}.pdf").write_bytes(a.data)
    m=re.search(r'class="sheet ([^"]+)"',p.text)
    from device_app.report import fit
    import pypdf
    import weasyprint
    from device_app.views import report as R
    from device_app.report.fit import fitting,height_mm
    from device_app.report.fetcher import BASE, HandedOver
    with client.application.test_request_context(f"/examinations/{ident}/report/"):
        client.application.preprocess_request()
        e=R.find_examination(ident); ss=fitting(R._sheet(e))
        from device_app.report.fit import LADDER, fitted
        print([round(height_mm(fitted(R._sheet(e),f))) for f in LADDER])
        for s in ss[:1]:
            d=weasyprint.HTML(string=R._paper(s,"x"),base_url=BASE+"/",url_fetcher=HandedOver(R._files(e,s))).render()
            def find(b):
                if getattr(b,"element_tag","")=="article": return b
                for c in getattr(b,"children",[]):
                    r=find(c)
                    if r is not None: return r
            b=find(d.pages[0]._page_box); print("   est %.0f real %.0f mm"%(height_mm(s), b.height*25.4/96), "pages",len(d.pages))
    print(name, len(a.data), m[1], "pages", len(pypdf.PdfReader(io.BytesIO(a.data)).pages))
def test_lab(config, store, work_off):
    client=create_app(config, FixedReader(READY)).test_client()
    client.application.extensions["ulna-access"].settings.change("box", clinic="Kigezi Health Centre IV")
    for name,gap in (("none",sample.NONE),("doubt",sample.DOUBT),("fracture",sample.FRACTURE),("unreadable",b"hello world")):
        i=put(store,gap,1,"P 4711 "+name,facts_json='{"age":"41","body_part":"forearm","view":"frontal"}'); work_off(); dump(client,i,name)
        if name=="fracture":
            broken=create_app(config, FixedReader(BROKEN)).test_client(); dump(broken,i,"fracture-held")
    i=put(store,sample.NONE,2,"P 4711 working"); dump(client,i,"working")
    broken=create_app(config, FixedReader(BROKEN)).test_client(); dump(broken,i,"working-held")
    work_off()
    i=put(store,sample.FRACTURE,5,"W"*80)
    put(store,sample.DOUBT,6,exam=i); put(store,b"hello",7,exam=i); put(store,sample.NONE,8,exam=i)
    work_off(); dump(client,i,"four")
    note="The patient fell from a tree three days ago and cannot use the hand; "*5
    for k in range(12):
        store.readings.add(i, Draft(Kind.SECOND, Judgement.DOUBT, note=note[:300]), "box", lambda e: "doubt")
    store.readings.add(i, Draft(Kind.OUTCOME, Judgement.FRACTURE, note=("W"*300)), "kiosk", lambda e: "doubt")
    dump(client,i,"four-long")
    i=put(store,sample.NONE,15,"two views"); put(store,b"hello2",0,exam=i); work_off(); dump(client,i,"two")
    i=put(store,sample.NONE,20,"eight")
    for k in range(21,28): put(store,sample.NONE if k%2 else sample.FRACTURE,k,exam=i)
    work_off(); dump(client,i,"eight")
    i=put(store,sample.png(sample.forearm(1.0,30,400,900)),0,"wide one"); work_off(); dump(client,i,"wide")
