import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Key;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Set;
import javax.xml.XMLConstants;
import javax.xml.crypto.AlgorithmMethod;
import javax.xml.crypto.KeySelector;
import javax.xml.crypto.KeySelectorException;
import javax.xml.crypto.KeySelectorResult;
import javax.xml.crypto.XMLCryptoContext;
import javax.xml.crypto.dsig.XMLSignature;
import javax.xml.crypto.dsig.XMLSignatureFactory;
import javax.xml.crypto.dsig.dom.DOMValidateContext;
import javax.xml.crypto.dsig.keyinfo.KeyInfo;
import javax.xml.crypto.dsig.keyinfo.X509Data;
import javax.xml.parsers.DocumentBuilder;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.validation.Schema;
import javax.xml.validation.SchemaFactory;
import org.w3c.dom.Document;

/**
 * What the JDK takes to parse, validate and verify one document, after a warm-up: anchor and schema are read
 * once. Arguments: document, schema, anchor (PEM), copies. Writes the best time in nanoseconds.
 */
public final class Peer {
    /** How long the compiler may learn. */
    private static final long WARM = 6_000_000_000L;

    private final Set<TrustAnchor> anchors;
    private final Schema schema;
    private final DocumentBuilder builder;
    private final XMLSignatureFactory signatures = XMLSignatureFactory.getInstance("DOM");

    private Peer(String schema, String anchor) throws Exception {
        try (InputStream in = new FileInputStream(anchor)) {
            X509Certificate read = (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
            anchors = Set.of(new TrustAnchor(read, null));
        }
        this.schema = SchemaFactory.newInstance(XMLConstants.W3C_XML_SCHEMA_NS_URI).newSchema(new File(schema));
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setNamespaceAware(true);
        factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
        builder = factory.newDocumentBuilder();
    }

    public static void main(String[] arguments) throws Exception {
        byte[] octets = Files.readAllBytes(Path.of(arguments[0]));
        Peer peer = new Peer(arguments[1], arguments[2]);
        for (long begin = System.nanoTime(); System.nanoTime() - begin < WARM; ) {
            peer.verify(octets);
        }
        long best = Long.MAX_VALUE;
        for (int round = Integer.parseInt(arguments[3]); round > 0; round--) {
            long begin = System.nanoTime();
            peer.verify(octets);
            best = Math.min(best, System.nanoTime() - begin);
        }
        System.out.println(best);
    }

    private void verify(byte[] octets) throws Exception {
        Document document = builder.parse(new ByteArrayInputStream(octets));
        schema.newValidator().validate(new DOMSource(document));
        DOMValidateContext context = new DOMValidateContext(
                new Trusted(), document.getElementsByTagNameNS(XMLSignature.XMLNS, "Signature").item(0));
        if (!signatures.unmarshalXMLSignature(context).validate(context)) {
            throw new IllegalStateException("the signature is not valid");
        }
    }

    /** The key of the first certificate, if it leads to the anchor. */
    private final class Trusted extends KeySelector {
        @Override
        public KeySelectorResult select(
                KeyInfo info, Purpose purpose, AlgorithmMethod method, XMLCryptoContext context)
                throws KeySelectorException {
            try {
                X509Data data = (X509Data) info.getContent().get(0);
                X509Certificate certificate = (X509Certificate) data.getContent().get(0);
                X509CertSelector target = new X509CertSelector();
                target.setCertificate(certificate);
                PKIXBuilderParameters parameters = new PKIXBuilderParameters(anchors, target);
                parameters.setRevocationEnabled(false);
                parameters.addCertStore(CertStore.getInstance(
                        "Collection", new CollectionCertStoreParameters(List.of(certificate))));
                CertPathBuilder.getInstance("PKIX").build(parameters);
                Key key = certificate.getPublicKey();
                return () -> key;
            } catch (Exception e) {
                throw new KeySelectorException(e);
            }
        }
    }
}
